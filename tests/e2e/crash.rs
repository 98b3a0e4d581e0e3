//! Processes that are killed: what they had begun is done by others.

use std::time::Duration;

use dogwatch_testing::{HttpPeer, eventually};

use crate::support::{LONG, Place};

/// Jobs of two seconds: a health check of a service that takes so long.
fn slow_jobs(place: &Place, peer: &HttpPeer, count: usize) {
    peer.delay(Duration::from_secs(2));
    place.write("dogwatch.toml", &format!("[[services]]\nname = \"slow\"\nurl = \"{}\"\n", peer.url()));
    let args = r#"{"services": ["slow"]}"#;
    for _ in 0..count {
        let output = place.run(&["enqueue", "check_service_health", "--args", args]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn jobs_of_a_worker_that_was_killed_are_done_by_another() {
    let mut place = Place::new().await;
    place.set("DOGWATCH_QUEUE_LEASE", "3s");
    let peer = HttpPeer::start().await;
    slow_jobs(&place, &peer, 20);
    let first = place.start(&["worker", "--concurrency", "10"]);
    peer.wait_for(5, LONG).await;
    first.signal("KILL");
    drop(first);
    let second = place.start(&["worker", "--concurrency", "10"]);
    eventually(LONG, "all 20 have succeeded", async || place.jobs("succeeded").len() == 20).await;
    let twice = place.jobs("succeeded").iter().filter(|job| job["attempt"] == 2).count();
    assert!(twice >= 5, "{twice} jobs were begun by the killed worker and done by the other");
    second.signal("TERM");
    assert_eq!(second.end().await, Some(0));
}

#[tokio::test]
async fn a_worker_drains_on_sigterm_and_no_attempt_is_lost() {
    let place = Place::new().await;
    let peer = HttpPeer::start().await;
    slow_jobs(&place, &peer, 3);
    let worker = place.start(&["worker", "--concurrency", "2"]);
    peer.wait_for(2, LONG).await;
    worker.signal("TERM");
    assert_eq!(worker.end().await, Some(0));
    assert_eq!((place.jobs("succeeded").len(), place.jobs("ready").len()), (2, 1));
}

/// How many jobs a schedule has enqueued that nobody runs.
fn ticks(place: &Place) -> usize {
    place.jobs("ready").len()
}

#[tokio::test]
async fn a_scheduler_that_is_killed_or_stands_still_is_followed_within_five_seconds() {
    let place = Place::new().await;
    let schedule = "[schedules.check_service_health]\nevery = \"1s\"\noverlap = \"allow\"\n";
    place.write("schedules.toml", schedule);
    let mut leader = place.start(&["scheduler"]);
    eventually(LONG, "it leads", async || ticks(&place) >= 2).await;
    for signal in ["STOP", "KILL"] {
        let follower = place.start(&["scheduler"]);
        follower.says("scheduler of").await;
        leader.signal(signal);
        let before = ticks(&place);
        let within = Duration::from_secs(5);
        eventually(within, "the other enqueues", async || ticks(&place) > before).await;
        // One that had stood still ends here; the other leads.
        leader = follower;
    }
}
