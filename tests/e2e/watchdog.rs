//! Who watches over the watcher: a job that stands still is told though it stands still, and a canary that does not arrive too.

use std::collections::HashMap;
use std::time::Duration;

use chrono::Utc;
use dogwatch::config::Config;
use dogwatch::watchdog::Watchdog;
use dogwatch::wiring;
use dogwatch_jobs::{CheckPerformanceThresholds, SendPerformanceAlerts, Services};
use dogwatch_queue::{Clock, Job, Run};
use dogwatch_testing::{HttpPeer, ManualClock, eventually};
use serde_json::Value;

use crate::support::{LONG, Place};

const MINUTE: Duration = Duration::from_mins(1);

fn config(place: &Place, receiver: &HttpPeer) -> Config {
    place.write(
        "dogwatch.toml",
        &format!(
            "[[notify.webhooks]]\nname = \"ops\"\nurl = \"{}\"\n\
             [[routes]]\nchannels = [\"ops\"]\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"\n",
            receiver.url()
        ),
    );
    assert!(place.run(&["migrate"]).status.success());
    let path = place.folder.path().join("dogwatch.toml");
    Config::load(Some(&path), place.variables(), Vec::new()).unwrap()
}

/// At a time that the test chooses.
fn services(config: &Config, clock: &ManualClock) -> Services {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Services { clock: Clock::from_fn(clock.reader()), ..wiring::services(config).unwrap() }
}

fn watchdog(place: &Place, config: &Config, clock: &ManualClock) -> Watchdog {
    let catalog = dogwatch_jobs::registry().catalog();
    Watchdog::new(
        services(config, clock),
        &config.scheduler.book,
        catalog,
        place.folder.path().join("schedules.toml"),
    )
}

/// What was told of each alert last, by its title.
fn told(receiver: &HttpPeer) -> HashMap<String, String> {
    let mut told = HashMap::new();
    for request in receiver.requests() {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        for alert in body["alerts"].as_array().unwrap() {
            let text = |key: &str| alert[key].as_str().unwrap().to_owned();
            told.insert(text("title"), text("event"));
        }
    }
    told
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the program has the real time too")]
async fn the_sending_of_alerts_that_stands_still_is_told_by_who_watches_over_it() {
    let (place, receiver) = (Place::new().await, HttpPeer::start().await);
    place.write("schedules.toml", "[schedules.send_performance_alerts]\nevery = \"1s\"\n");
    let clock = ManualClock::at(&(Utc::now() - 2 * MINUTE).to_rfc3339());
    let config = config(&place, &receiver);
    let (services, mut watchdog) = (services(&config, &clock), watchdog(&place, &config, &clock));
    watchdog.look().await.unwrap();
    assert!(receiver.requests().is_empty(), "it is not late yet");
    clock.advance(2 * MINUTE);
    watchdog.look().await.unwrap();
    let title = "schedule send_performance_alerts stands still";
    assert_eq!(told(&receiver).get(title).map(String::as_str), Some("raised"));
    // A worker comes, and with it an end.
    let _processes = (place.start(&["worker"]), place.start(&["scheduler"]));
    let succeeded = async || !services.inspector.last_successes().await.unwrap().is_empty();
    eventually(LONG, "the job succeeds", succeeded).await;
    clock.set(Utc::now());
    watchdog.look().await.unwrap();
    let is_over = async || told(&receiver).get(title).is_some_and(|event| event == "resolved");
    eventually(LONG, "its end is told", is_over).await;
}

#[tokio::test]
async fn a_canary_that_does_not_arrive_is_told_and_one_that_does_goes_the_whole_way() {
    let (place, receiver) = (Place::new().await, HttpPeer::start().await);
    place.write("schedules.toml", "[schedules.check_performance_thresholds]\nevery = \"1h\"\n");
    let clock = ManualClock::at("2026-05-20T10:00:10Z");
    let config = config(&place, &receiver);
    let mut watchdog = watchdog(&place, &config, &clock);
    let cx = Run::detached(services(&config, &clock));
    let go_the_way = async || {
        CheckPerformanceThresholds::default().run(&cx).await.unwrap();
        SendPerformanceAlerts::default().run(&cx).await.unwrap();
    };
    go_the_way().await;
    clock.advance(34 * MINUTE);
    watchdog.look().await.unwrap();
    assert!(receiver.requests().is_empty(), "people hear nothing of it as long as it sings");
    // The rules are not evaluated: it was raised half an hour ago, and has not ended since.
    clock.advance(2 * MINUTE);
    watchdog.look().await.unwrap();
    let title = "the canary is silent: alerts may not get through";
    assert_eq!(told(&receiver).get(title).map(String::as_str), Some("raised"));
    // Its end arrives, which is as good as its beginning.
    clock.advance(10 * MINUTE);
    go_the_way().await;
    clock.advance(MINUTE);
    watchdog.look().await.unwrap();
    SendPerformanceAlerts::default().run(&cx).await.unwrap();
    assert_eq!(told(&receiver).get(title).map(String::as_str), Some("resolved"));
    let alerts = place.json(&["alerts", "list", "--json"]);
    let titles: Vec<_> = alerts["items"].as_array().unwrap().iter().map(|alert| &alert["title"]).collect();
    assert_eq!(titles, [title], "nobody is shown the canary itself");
}

#[tokio::test]
async fn a_refused_file_of_schedules_is_an_alert_until_it_is_right() {
    let (place, receiver) = (Place::new().await, HttpPeer::start().await);
    let right = "[schedules.cleanup_old_performance_data]\nevery = \"1h\"\n";
    place.write("schedules.toml", right);
    let config = config(&place, &receiver);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut watchdog = wiring::watchdog(&config, &place.folder.path().join("schedules.toml")).unwrap();
    let inspector = wiring::inspector(&wiring::queue(&config).unwrap());
    let _scheduler = place.start(&["scheduler"]);
    let status = async || inspector.scheduler_status(&config.scheduler.book).await.unwrap();
    eventually(LONG, "it leads", async || status().await.has_leader).await;
    place.write("schedules.toml", "[schedules.cleanup_old_performance_data]\nevery = \"never\"\n");
    eventually(LONG, "the file is refused", async || status().await.refused_file.is_some()).await;
    watchdog.look().await.unwrap();
    let alerts = || place.json(&["alerts", "list", "--json"])["items"].as_array().unwrap().clone();
    let title = "the file of schedules is refused, an earlier version is in force";
    let [alert] = &alerts()[..] else { panic!("{:?}", alerts()) };
    assert_eq!((&alert["title"], &alert["status"]), (&Value::from(title), &Value::from("active")));
    assert!(alert["description"].as_str().unwrap().contains("schedules.toml:2: "), "{alert}");
    let doctor = place.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("it refuses schedules.toml since"));
    place.write("schedules.toml", right);
    eventually(LONG, "the file is in force", async || status().await.refused_file.is_none()).await;
    watchdog.look().await.unwrap();
    assert_eq!(alerts()[0]["status"], "resolved");
}
