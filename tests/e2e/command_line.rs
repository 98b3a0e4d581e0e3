//! What a person types, and what they are told when it is wrong.

use std::io::{BufRead, BufReader};

use dogwatch_testing::eventually;
use serde_json::json;

use crate::support::{LONG, Place};

#[tokio::test]
async fn wrong_usage_names_the_place_and_what_would_be_right_and_exits_with_2() {
    let place = Place::new().await;
    place.write("schedules.toml", "[schedules.chek_service_health]\nevery = \"1s\"\n");
    place.write("bad.toml", "[queue]\nconcurency = 3\n");
    for (arguments, expected) in [
        (&["enqueue", "clenup_old_performance_data"][..], "did you mean `cleanup_old_performance_data`?"),
        (
            &["enqueue", "cleanup_old_performance_data", "--args", r#"{"days": "x"}"#],
            "argument /days: invalid type",
        ),
        (&["enqueue", "cleanup_old_performance_data", "--args", "days"], "--args `days` is no JSON"),
        (&["enqueue", "x", "--delay", "soon"], "write a number and its unit"),
        (
            &["schedules", "validate"],
            "schedules.toml:1: job `chek_service_health` does not exist; did you mean `check_service_health`?",
        ),
        (&["scheduler", "--schedules", "none.toml"], "none.toml: cannot be read"),
        (&["--config", "bad.toml", "migrate"], "bad.toml:2: queue.concurency: unknown field `concurency`"),
        (
            &["worker", "--concurrency", "0"],
            "--concurrency: queue.concurrency: `0` is not between 1 and 4096",
        ),
        (
            &["api", "--listen", "0.0.0.0:80"],
            "`0.0.0.0:80` can be reached from outside, and there is no API key",
        ),
        (&["jobs", "list", "--state", "lost"], "`lost` is no state of a job"),
        (&["frobnicate"], "unrecognized subcommand"),
    ] {
        let output = place.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(expected), "{arguments:?}\n{told}");
        // A scheduler whose file is bad has not been used wrongly: its file is.
        let code = if arguments[0] == "scheduler" { 1 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_job_is_enqueued_and_waited_for() {
    let place = Place::new().await;
    let worker = place.start(&["worker"]);
    let job = place.json(&[
        "enqueue",
        "generate_performance_report",
        "--args",
        r#"{"hours": 1}"#,
        "--wait",
        "--json",
    ]);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("succeeded"), &json!(1)));
    assert_eq!(job["result"]["requests"], 0);
    let id = job["id"].as_str().unwrap();
    assert_eq!(place.json(&["jobs", "show", id, "--json"])["id"], id);
    let dead = place.run(&["enqueue", "cleanup_old_performance_data", "--args", r#"{"days": 0}"#, "--wait"]);
    assert_eq!(dead.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&dead.stdout).contains("argument /days: `0` is not between 1 and 3650"));
    worker.signal("TERM");
    assert_eq!(worker.end().await, Some(0));
}

#[tokio::test]
async fn the_doctor_says_what_is_missing_and_how_to_mend_it() {
    let mut place = Place::bare();
    place.write("schedules.toml", "[schedules.check_service_health]\nevery = \"1s\"\n");
    let nothing = place.run(&["doctor"]);
    let told = String::from_utf8_lossy(&nothing.stdout).into_owned();
    assert!(
        told.contains("no Redis is configured: set REDIS_URL") && told.contains("DATABASE_URL"),
        "{told}"
    );
    assert_eq!(nothing.status.code(), Some(1));

    let empty = dogwatch_testing::TestDatabase::empty().await;
    place.set("DATABASE_URL", &empty.url());
    place.set("REDIS_URL", "redis://127.0.0.1:1");
    let told = String::from_utf8_lossy(&place.run(&["doctor"]).stdout).into_owned();
    assert!(
        told.contains("0001 create partitions") && told.contains("hint: run `dogwatch migrate`"),
        "{told}"
    );
    assert!(told.contains("redis://127.0.0.1:1: cannot read the clock of Redis"), "{told}");
    assert!(place.run(&["migrate"]).status.success());
    let told = String::from_utf8_lossy(&place.run(&["doctor"]).stdout).into_owned();
    assert!(told.contains("migrations     all applied"), "{told}");
}

#[tokio::test]
async fn schedules_are_listed_with_their_next_times() {
    let place = Place::bare();
    let shipped = include_str!("../../schedules.toml");
    place.write("schedules.toml", shipped);
    let list = place.json(&["schedules", "next", "--count", "2", "--json"]);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), shipped.matches("\n[schedules.").count(), "{list}");
    assert!(items.iter().all(|item| item["next"].as_array().unwrap().len() == 2), "{list}");
    assert!(place.run(&["schedules", "validate"]).status.success());
}

#[test]
fn a_schedule_that_crontab_would_read_differently_is_noted_when_it_is_checked() {
    let place = Place::bare();
    let friday = "[schedules.cleanup_old_performance_data]\ncron = \"0 0 13 * FRI\"\n";
    let daily = "[schedules.generate_performance_report]\ncron = \"@daily\"\n";
    place.write("schedules.toml", &format!("{friday}{daily}"));
    let output = place.run(&["schedules", "validate"]);
    assert!(output.status.success());
    let printed = String::from_utf8_lossy(&output.stdout);
    let note = "note: schedule `cleanup_old_performance_data` restricts both the day of month and the \
                weekday: it runs only on days that match both; crontab(5) would run on either";
    assert_eq!(printed.lines().skip(1).collect::<Vec<_>>(), [note], "{printed}");
}

#[test]
fn days_and_weeks_are_durations_in_every_file_and_option() {
    let place = Place::bare();
    let schedules =
        "[schedules.generate_performance_report]\nevery = \"1d\"\njitter = \"1h\"\ntimeout = \"1w\"\n";
    place.write("schedules.toml", schedules);
    assert!(place.run(&["schedules", "validate"]).status.success());
    let settings = "[queue]\nkeep_succeeded = \"2d\"\nkeep_dead = \"1w\"\n\
                    [queue.limits.generate_performance_report]\nrate = \"1/1d\"\n";
    place.write("dogwatch.toml", settings);
    let output = place.run(&["channels", "list"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    place.write("dogwatch.toml", "[queue]\nkeep_dead = \"1y\"\n");
    let error = place.run(&["channels", "list"]).stderr;
    let error = String::from_utf8_lossy(&error);
    let expected = "dogwatch.toml:2: queue.keep_dead: `1y` is not a duration; write a number and its unit, \
                    such as 30s, 10m, 2h or 1d";
    assert!(error.contains(expected), "{error}");
    let wrong = place.run(&["enqueue", "generate_performance_report", "--delay", "2 moons"]).stderr;
    let wrong = String::from_utf8_lossy(&wrong);
    assert!(wrong.contains("`2 moons` is not a duration; write a number and its unit"), "{wrong}");
}

#[tokio::test]
async fn shells_and_manuals_know_every_command() {
    let place = Place::bare();
    for (shell, sign) in
        [("bash", "complete -F"), ("zsh", "#compdef dogwatch"), ("fish", "complete -c dogwatch")]
    {
        let script = String::from_utf8(place.run(&["completions", shell]).stdout).unwrap();
        assert!(script.contains(sign) && script.contains("slow-queries"), "{shell}: {script}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert!(place.run(&["man", pages.to_str().unwrap()]).status.success());
    let page = std::fs::read_to_string(pages.join("dogwatch-jobs-list.1")).unwrap();
    assert!(page.starts_with(".ie") && page.contains("\\-\\-state"), "{page}");
}

#[tokio::test]
async fn what_was_meant_is_told_and_only_what_shows_something_is_repeated() {
    let place = Place::new().await;
    let said = |arguments: &[&str]| {
        let output = place.run(arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    place.write(
        "schedules.toml",
        "[schedules.nightly_cleanup]\njob = \"cleanup_old_performance_data\"\nevery = \"24h\"\n",
    );
    let (code, told) = said(&["schedules", "run", "nightly_clenup"]);
    assert_eq!(
        (code, told.trim()),
        (Some(2), "error: no schedule is named `nightly_clenup`; did you mean `nightly_cleanup`?")
    );
    let (code, told) = said(&["job", "list"]);
    assert!(code == Some(2) && told.contains("'jobs'"), "{told}");
    let (code, told) = said(&["enqueue", "check_service_health", "--watch"]);
    assert!(code == Some(2) && told.contains("does more than to show something"), "{told}");
    let (code, told) = said(&["queues", "list", "--watch=1ms"]);
    assert!(code == Some(2) && told.contains("write at least 200ms"), "{told}");

    // Again and again, until it is stopped; a pipe gets no codes for a screen.
    let watching = place.start(&["queues", "list", "--watch=200ms"]);
    eventually(LONG, "it shows it a second time", async || watching.log().matches("no queues").count() >= 2)
        .await;
    assert!(!watching.log().contains('\u{1b}'), "{}", watching.log());
}

#[tokio::test]
async fn a_job_is_waited_for_where_no_ended_job_is_kept() {
    let mut place = Place::new().await;
    place.set("DOGWATCH_QUEUE_KEEP_SUCCEEDED_COUNT", "0");
    place.set("DOGWATCH_QUEUE_KEEP_DEAD_COUNT", "0");
    let _worker = place.start(&["worker"]);
    let job = place.json(&["enqueue", "check_service_health", "--wait", "--json"]);
    assert_eq!(job["state"], "succeeded", "{job}");
    let wrong = r#"{"window_minutes": 5000}"#;
    let job = place.json(&["enqueue", "check_performance_thresholds", "--args", wrong, "--wait", "--json"]);
    assert_eq!(job["state"], "dead", "{job}");
}

#[tokio::test]
async fn a_repeated_command_ends_when_its_reader_does() {
    let place = Place::new().await;
    place.run(&["enqueue", "check_service_health", "--delay", "1h"]);
    // The second prints nothing to the pipe that it could fail at.
    for command in
        [&["jobs", "list", "--watch=200ms"][..], &["jobs", "list", "--state", "dead", "--watch=200ms"]]
    {
        let (mut child, pipe) = place.start_piped(command);
        if command.len() == 3 {
            let mut first = String::new();
            BufReader::new(pipe).read_line(&mut first).unwrap();
            assert!(first.contains("QUEUE"), "{first}");
        } else {
            drop(pipe);
        }
        let mut status = None;
        eventually(LONG, "it has ended", async || {
            status = child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert_eq!(status.unwrap().code(), Some(0), "{command:?}");
    }
}
