//! Programs with different schedules on one Redis, and files without schedules.

use std::collections::BTreeMap;

use dogwatch_testing::eventually;
use serde_json::Value;

use crate::support::{LONG, Place, Process};

fn variable(place: &Place, name: &str) -> String {
    place.variables().into_iter().find(|(known, _)| known == name).unwrap().1
}

fn schedules(job: &str) -> String {
    format!("[schedules.beat]\njob = \"{job}\"\nevery = \"1s\"\nmisfire = \"all\"\noverlap = \"allow\"\n")
}

/// How many jobs the schedules have enqueued, by job: nobody runs them.
fn enqueued(place: &Place) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for job in place.jobs("ready") {
        *counts.entry(job["job"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn two_programs_with_different_files_run_both_and_each_killed_leader_is_followed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let main = Place::new().await;
    main.write("schedules.toml", &schedules("check_service_health"));
    let mut shop = Place::bare();
    for name in ["DATABASE_URL", "REDIS_URL", "DOGWATCH_QUEUE_NAMESPACE"] {
        shop.set(name, &variable(&main, name));
    }
    shop.set("DOGWATCH_SCHEDULER_BOOK", "shop");
    shop.write("schedules.toml", &schedules("monitor_system_resources"));

    let enough = async |least: usize| {
        let counts = enqueued(&main);
        counts.len() == 2 && counts.values().all(|count| *count >= least)
    };
    let start_both = || [&main, &shop].map(|place| place.start(&["scheduler"]));
    let leaders = start_both();
    eventually(LONG, "both programs enqueue", async || enough(2).await).await;
    let standby = start_both();
    for process in &standby {
        process.says("scheduler of schedules.toml").await;
    }
    for process in &leaders {
        process.signal("KILL");
    }
    let before = enqueued(&main).into_values().max().unwrap();
    eventually(LONG, "both go on", async || enough(before + 3).await).await;

    let api = shop.start(&["api"]);
    let shown = crate::support::get(format!("{}/api/v1/schedules", api.api().await)).await.unwrap();
    let shown: Value = shown.json().await.unwrap();
    let items = shown["items"].as_array().unwrap();
    assert!(items.len() == 1 && items[0]["job"] == "monitor_system_resources", "{shown}");
    let id = items[0]["last_run"]["job_id"].as_str().unwrap();
    let job = shop.json(&["jobs", "show", id, "--json"]);
    assert_eq!((&job["job"], &job["schedule"]), (&items[0]["job"], &Value::from("beat")));
    drop(standby);
}

fn count(process: &Process, text: &str) -> usize {
    process.log().matches(text).count()
}

#[tokio::test]
async fn a_file_without_schedules_is_refused_once_while_it_runs_and_accepted_with_a_warning_at_the_start() {
    let place = Place::new().await;
    place.write("schedules.toml", &schedules("check_service_health"));
    let scheduler = place.start(&["scheduler"]);
    let all = || place.jobs("ready").len();
    eventually(LONG, "it enqueues", async || all() >= 2).await;
    place.write("schedules.toml", "");
    let refusal = "schedules stay as they were: schedules.toml: defines no schedule while 1 is in force";
    scheduler.says(refusal).await;
    let before = all();
    // So many seconds that the file is read some times more.
    eventually(LONG, "it goes on", async || all() >= before + 6).await;
    assert_eq!(count(&scheduler, refusal), 1, "{}", scheduler.log());
    scheduler.signal("TERM");
    assert_eq!(scheduler.end().await, Some(0));

    let scheduler = place.start(&["scheduler"]);
    scheduler.says("this scheduler leads").await;
    let warning = "schedules.toml defines no schedule: nothing will be enqueued until it does";
    assert_eq!(count(&scheduler, warning), 1, "{}", scheduler.log());
    let checked = place.run(&["schedules", "validate"]);
    assert!(checked.status.success());
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("warning: it defines no schedule"), "{said}");
    scheduler.signal("TERM");
    assert_eq!(scheduler.end().await, Some(0));
}

#[test]
fn a_book_needs_a_name() {
    let mut place = Place::bare();
    place.write("schedules.toml", "");
    place.set("DOGWATCH_SCHEDULER_BOOK", "a/b");
    let output = place.run(&["scheduler"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("DOGWATCH_SCHEDULER_BOOK: scheduler.book: `a/b`: a name has 1 to 100"), "{said}");
}
