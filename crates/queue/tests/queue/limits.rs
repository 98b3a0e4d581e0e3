//! Limits hold over all workers together, and a place under one outlives no lease.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dogwatch_queue::{JobState, Limit, NewJob};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use serde_json::json;

use crate::support::{LONG, Queue};

fn limit(concurrency: Option<u32>, rate: Option<&str>, per: Option<&str>) -> Limit {
    let rate = rate.map(|text| text.to_owned().try_into().unwrap());
    Limit { concurrency, rate, per: per.map(str::to_owned) }
}

fn sleep(ms: u64) -> NewJob {
    NewJob::new("sleep", json!({ "ms": ms }))
}

/// The most that ran at once, from what the jobs wrote down.
fn most_at_once(queue: &Queue) -> usize {
    let (mut now, mut most) = (0, 0_usize);
    for event in queue.ledger.runs.lock().unwrap().iter() {
        if event == "begin" {
            now += 1;
        } else {
            now -= 1;
        }
        most = most.max(now);
    }
    most
}

#[tokio::test]
async fn concurrency_is_limited_over_all_workers_and_nothing_starves() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(Some(2), None, None));
    let workers = [queue.work(), queue.work()];
    let jobs = queue.producer.enqueue_all((0..20).map(|_| sleep(20)).collect()).await.unwrap();
    for job in &jobs {
        let job = queue.end_of(&job.id).await;
        assert_eq!((job.state, job.attempt), (JobState::Succeeded, 1), "to wait uses no attempt");
    }
    for worker in workers {
        worker.drain().await;
    }
    assert_eq!(most_at_once(&queue), 2);
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

/// The most that ran at once of jobs that waited under one limit, when a worker came that has another.
async fn most_at_once_after(before: u32, then: u32) -> usize {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(Some(before), None, None));
    let worker = queue.work();
    let jobs = queue.producer.enqueue_all((0..9).map(|_| sleep(100)).collect()).await.unwrap();
    queue.end_of(&jobs[0].id).await;
    worker.drain().await;
    queue.ledger.runs.lock().unwrap().clear();
    queue.settings.limits.insert("sleep".to_owned(), limit(Some(then), None, None));
    let worker = queue.work();
    for job in &jobs {
        queue.end_of(&job.id).await;
    }
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
    most_at_once(&queue)
}

#[tokio::test]
async fn a_limit_that_is_changed_holds_for_those_that_wait() {
    assert_eq!(most_at_once_after(1, 3).await, 3, "it was raised");
    assert_eq!(most_at_once_after(3, 1).await, 1, "it was lowered");
}

#[tokio::test]
async fn each_value_of_an_argument_has_a_limit_of_its_own() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(Some(1), None, Some("/ms")));
    let worker = queue.work();
    let jobs = [300, 301, 300, 301].map(sleep).to_vec();
    for job in queue.producer.enqueue_all(jobs).await.unwrap() {
        queue.end_of(&job.id).await;
    }
    worker.drain().await;
    assert_eq!(most_at_once(&queue), 2);
}

#[track_caller]
fn at_most_four_in_500_ms(mut started: Vec<DateTime<Utc>>) {
    started.sort();
    // A permit is a time; a run may begin a little later than its own, never earlier.
    for window in started.windows(5) {
        let apart = (window[4] - window[0]).num_milliseconds();
        assert!(apart >= 400, "five within {apart} ms: {started:?}");
    }
}

#[tokio::test]
async fn a_rate_is_never_exceeded_in_any_period() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(None, Some("4/500ms"), None));
    queue.settings.concurrency = 16;
    let worker = queue.work();
    let mut started = Vec::new();
    for job in queue.producer.enqueue_all((0..12).map(|_| sleep(1)).collect()).await.unwrap() {
        started.push(queue.end_of(&job.id).await.started_at.unwrap());
    }
    at_most_four_in_500_ms(started);
    worker.drain().await;
}

#[tokio::test]
async fn a_rate_that_is_removed_or_raised_holds_no_job_back_any_more() {
    for then in [None, Some(limit(None, Some("100/1s"), None))] {
        let mut queue = Queue::new().await;
        queue.settings.limits.insert("sleep".to_owned(), limit(None, Some("1/24h"), None));
        let worker = queue.work();
        let jobs = queue.producer.enqueue_all((0..3).map(|_| sleep(1)).collect()).await.unwrap();
        let redis = queue.redis().await;
        let parked = async || redis.clone().hlen::<_, usize>(queue.key("parked")).await.unwrap();
        eventually(LONG, "two wait", async || parked().await == 2).await;
        worker.drain().await;
        queue.settings.limits.remove("sleep");
        queue.settings.limits.extend(then.map(|limit| ("sleep".to_owned(), limit)));
        let worker = queue.work();
        for job in &jobs {
            assert_eq!(queue.end_of(&job.id).await.state, JobState::Succeeded);
        }
        worker.drain().await;
    }
}

#[tokio::test]
async fn a_rate_is_kept_after_a_pause() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(None, Some("4/500ms"), None));
    queue.settings.concurrency = 16;
    let worker = queue.work();
    let jobs = queue.producer.enqueue_all((0..24).map(|_| sleep(1)).collect()).await.unwrap();
    queue.end_of(&jobs[0].id).await;
    queue.control().pause("default").await.unwrap();
    let end = queue.client.time_ms().await.unwrap() + 2_000;
    eventually(LONG, "it is paused for a while", async || queue.client.time_ms().await.unwrap() > end).await;
    queue.control().resume("default").await.unwrap();
    let mut started = Vec::new();
    for job in jobs {
        started.push(queue.end_of(&job.id).await.started_at.unwrap());
    }
    at_most_four_in_500_ms(started);
    worker.drain().await;
}

#[tokio::test]
async fn a_purge_cancels_all_jobs_that_wait_under_a_limit() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(None, Some("1/1h"), None));
    queue.settings.concurrency = 50;
    let worker = queue.work();
    let jobs: Vec<NewJob> = (0..1500).map(|_| sleep(1)).collect();
    queue.producer.enqueue_all(jobs).await.unwrap();
    let redis = queue.redis().await;
    let parked = async || redis.clone().hlen::<_, usize>(queue.key("parked")).await.unwrap();
    eventually(LONG, "all but one wait", async || parked().await == 1499).await;
    assert_eq!(queue.control().purge("default").await.unwrap(), 1499);
    assert_eq!(parked().await, 0);
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

#[tokio::test]
async fn jobs_that_are_purged_cancelled_or_expired_while_they_wait_use_no_permit() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(None, Some("1/2s"), None));
    let worker = queue.work();
    let first = queue.enqueue(sleep(1)).await;
    queue.end_of(&first).await;
    let many: Vec<NewJob> = (0..40).map(|_| sleep(1)).collect();
    let expiring = NewJob { expires: Some(Duration::from_millis(1)), ..sleep(1) };
    let jobs = queue.producer.enqueue_all(many).await.unwrap();
    queue.enqueue(expiring).await;
    let waits = async || queue.inspector.counts().await.unwrap()[0].running == 0;
    eventually(LONG, "all wait for a permit", waits).await;
    for job in &jobs[..20] {
        queue.control().cancel(&job.id).await.unwrap();
    }
    queue.control().purge("default").await.unwrap();
    for job in &jobs {
        let state = queue.end_of(&job.id).await.state;
        assert!(matches!(state, JobState::Cancelled | JobState::Succeeded), "{state}");
    }
    let ran = || queue.ledger.count() / 2;
    let before = ran();
    let next = queue.enqueue(sleep(1)).await;
    let next = queue.end_of(&next).await;
    // With a permit for each of the forty it would begin after eighty seconds.
    let waited = next.started_at.unwrap() - next.enqueued_at.unwrap();
    assert_eq!((next.state, ran()), (JobState::Succeeded, before + 1));
    assert!(waited.num_seconds() < 20, "it has waited for {waited}");
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

/// The order in which jobs of these priorities run under a limit of one at a time, enqueued while one runs.
async fn order_under(limit: Limit, priorities: &[u8]) -> Vec<u8> {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("note".to_owned(), limit);
    let note = |text: String, priority| NewJob { priority, ..NewJob::new("note", json!({ "text": text })) };
    queue.control().pause("default").await.unwrap();
    // The first uses the permit, the second to last ones wait for theirs.
    queue.enqueue(note("first".to_owned(), 0)).await;
    let worker = queue.work();
    queue.control().resume("default").await.unwrap();
    let parked = async |count: usize| {
        let mut redis = queue.redis().await;
        redis::AsyncCommands::hlen::<_, usize>(&mut redis, queue.key("parked")).await.unwrap() == count
    };
    let mut ids = Vec::new();
    for (n, priority) in priorities.iter().enumerate() {
        ids.push(queue.enqueue(note(priority.to_string(), *priority)).await);
        if n < 4 {
            eventually(LONG, "it waits under the limit", async || parked(n + 1).await).await;
        }
    }
    for id in &ids {
        queue.end_of(id).await;
    }
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
    let runs = queue.ledger.runs.lock().unwrap();
    runs.iter().filter_map(|text| text.parse().ok()).collect()
}

#[tokio::test]
async fn priorities_hold_among_jobs_that_wait_for_a_permit() {
    let order = order_under(limit(None, Some("1/700ms"), None), &[9, 9, 5, 0]).await;
    assert_eq!(order, [0, 5, 9, 9]);
}

#[tokio::test]
async fn priorities_hold_among_jobs_that_wait_for_a_place() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(Some(1), None, None));
    let worker = queue.work();
    let running = queue.enqueue(sleep(2000)).await;
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    let mut ids = Vec::new();
    for (n, priority) in [9, 9, 5, 0].into_iter().enumerate() {
        ids.push(queue.enqueue(NewJob { priority, ..sleep(1) }).await);
        let parked = async || {
            let mut redis = queue.redis().await;
            redis::AsyncCommands::hlen::<_, usize>(&mut redis, queue.key("parked")).await.unwrap() == n + 1
        };
        eventually(LONG, "it waits for a place", parked).await;
    }
    queue.end_of(&running).await;
    let mut started = Vec::new();
    for id in &ids {
        started.push(queue.end_of(id).await.started_at.unwrap());
    }
    assert!(started[3] < started[2] && started[2] < started[0] && started[0] <= started[1], "{started:?}");
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_place_of_a_lost_worker_is_free_again() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(Some(1), None, None));
    let crashed = queue.work();
    let held = queue.enqueue(sleep(60_000)).await;
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    crashed.task.abort();
    let worker = queue.work();
    let next = queue.enqueue(sleep(1)).await;
    let taken_over = async || queue.job(&held).await.attempt == 2;
    eventually(LONG, "it is taken over", taken_over).await;
    queue.control().cancel(&held).await.unwrap();
    queue.control().cancel(&next).await.unwrap();
    queue.end_of(&held).await;
    let last = queue.enqueue(sleep(1)).await;
    assert_eq!(queue.end_of(&last).await.state, JobState::Succeeded);
    worker.drain().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_place_is_never_handed_over_twice() {
    let mut queue = Queue::new().await;
    queue.settings.limits.insert("sleep".to_owned(), limit(Some(1), None, None));
    let worker = queue.work();
    let running = queue.enqueue(sleep(400)).await;
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    let jobs = queue.producer.enqueue_all((0..6).map(|_| sleep(30)).collect()).await.unwrap();
    let parked = async || queue.inspector.counts().await.unwrap()[0].running == 1;
    eventually(LONG, "the others wait", parked).await;
    for job in &jobs[..3] {
        queue.control().cancel(&job.id).await.unwrap();
    }
    queue.end_of(&running).await;
    for job in &jobs {
        queue.end_of(&job.id).await;
    }
    let last = queue.enqueue(sleep(1)).await;
    queue.end_of(&last).await;
    worker.drain().await;
    assert_eq!(most_at_once(&queue), 1);
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}
