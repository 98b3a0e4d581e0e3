//! The command line asks a Dogwatch on another machine over HTTP, and shows the same as on that machine itself.

use dogwatch_testing::eventually;
use serde_json::json;

use crate::support::{LONG, Place, Process};

/// What a command says: its code, and both outputs.
fn said(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let output = place.run(arguments);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Without the window, which is that of the moment of the question.
fn comparable(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.contains("\"until\"") && !line.contains("\"since\"")).collect()
}

/// A Dogwatch, and another machine that knows its address and a key, and has neither Postgres nor Redis.
struct Machines {
    there: Place,
    here: Place,
    key: String,
    _processes: [Process; 2],
}

impl Machines {
    /// There was one request, which failed, and there is one alert.
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let there = Place::new().await;
        let processes = [there.start(&["api"]), there.start(&["worker"])];
        let base = processes[0].api().await;
        let (_, key) = said(&there, &["keys", "create", "laptop", "--scope", "admin"]);
        let key = key.lines().find(|line| line.starts_with("dw_")).unwrap().to_owned();
        there.write(
            "schedules.toml",
            "[schedules.nightly]\njob = \"check_service_health\"\ncron = \"0 3 * * *\"\n",
        );
        let mut here = Place::bare();
        std::fs::remove_file(here.folder.path().join(".dogwatch/authorization")).unwrap();
        here.set("DOGWATCH_URL", &base);
        let (code, refused) = said(&here, &["jobs", "list"]);
        assert!(code == Some(1) && refused.contains("--key, or DOGWATCH_KEY"), "{refused}");
        here.set("DOGWATCH_KEY", &key);
        let metric = json!({"service": "shop", "endpoint": "/pay", "method": "POST", "status_code": 500, "response_time_ms": 80.5});
        let alert = json!({"alert_type": "payments", "service": "shop", "severity": "high"});
        for (path, body) in [("metrics", metric), ("alerts", alert)] {
            let url = format!("{base}/api/v1/performance/{path}");
            let sent = crate::support::http().post(url).bearer_auth(&key).json(&body).send().await.unwrap();
            assert!(sent.status().is_success(), "{sent:?}");
        }
        Self { there, here, key, _processes: processes }
    }
}

#[tokio::test]
async fn a_command_shows_the_same_from_another_machine() {
    let Machines { there, here, _processes, .. } = Machines::new().await;
    let job = here.json(&[
        "enqueue",
        "check_service_health",
        "--wait",
        "--json",
        "--delay",
        "10ms",
        "--unique-key",
        "k",
    ]);
    assert_eq!(job["state"], "succeeded", "{job}");
    let id = job["id"].as_str().unwrap();

    for arguments in [
        &["jobs", "show", id][..],
        &["jobs", "list", "--state", "succeeded"],
        &["jobs", "history"],
        &["queues", "list"],
        &["summary", "--hours", "1", "--service", "shop"],
        &["endpoints", "--hours", "1"],
        &["slow-requests", "--threshold", "50"],
        &["slow-queries", "--threshold", "0"],
        &["services"],
        &["alerts", "list", "--status", "open", "--severity", "high"],
        &["alerts", "silences"],
        &["jobs", "dead"],
        &["schedules", "list"],
        &["schedules", "next", "--count", "5"],
    ] {
        for arguments in [arguments.to_vec(), [arguments, &["--json"]].concat()] {
            let (near, far) = (said(&there, &arguments), said(&here, &arguments));
            assert_eq!(near.0, Some(0), "{arguments:?}: {}", near.1);
            assert_eq!((far.0, comparable(&far.1)), (near.0, comparable(&near.1)), "{arguments:?}");
        }
    }
    let (code, workers) = said(&here, &["workers", "list"]);
    assert!(code == Some(0) && workers.contains("default"), "{workers}");
    let (code, keys) = said(&here, &["keys", "list"]);
    assert!(code == Some(0) && keys.contains("laptop"), "{keys}");
}

#[tokio::test]
async fn dead_letters_of_another_machine_are_replayed_and_discarded() {
    let Machines { here, .. } = &Machines::new().await;
    let die = || {
        let arguments = r#"{"window_minutes": 5000}"#;
        let enqueue = ["enqueue", "check_performance_thresholds", "--args", arguments, "--wait", "--json"];
        let job = here.json(&enqueue);
        assert_eq!(job["state"], "dead", "{job}");
        job["id"].as_str().unwrap().to_owned()
    };
    let (one, _) = (die(), die());
    let none = ["--all", "--error", "no such error"];
    for what in ["replay", "discard"] {
        let (code, told) = said(here, &[&["jobs", what][..], &none].concat());
        assert_eq!((code, told.ends_with("ed: 0\n")), (Some(0), true), "{told}");
        assert_eq!(said(here, &["jobs", what]).0, Some(2), "which?");
    }
    let (code, told) = said(here, &["jobs", "replay", "--all", "--job", "check_performance_thresholds"]);
    assert_eq!((code, told.as_str()), (Some(0), "replayed: 2\n"));
    let dead = async || here.json(&["jobs", "dead", "--json"])["items"].as_array().unwrap().len() == 2;
    eventually(LONG, "they have died again", dead).await;
    assert_eq!(said(here, &["jobs", "discard", &one]), (Some(0), format!("discarded: {one}\n")));
    let (code, told) = said(here, &["jobs", "discard", &one]);
    assert!(code == Some(1) && told.contains("no job has the id"), "{told}");
    assert_eq!(said(here, &["jobs", "discard", "--all"]), (Some(0), "discarded: 1\n".to_owned()));
    let job = here.json(&["enqueue", "check_service_health", "--wait", "--json"]);
    let (code, told) = said(here, &["jobs", "discard", job["id"].as_str().unwrap()]);
    assert!(code == Some(1) && told.contains("is succeeded and no dead letter"), "{told}");
}

#[tokio::test]
async fn a_command_acts_on_another_machine_and_says_what_only_works_there() {
    let Machines { there, here, key, _processes } = Machines::new().await;
    let alerts = here.json(&["alerts", "list", "--json"]);
    let alert = alerts["items"][0]["id"].as_str().unwrap();
    let (code, done) = said(&here, &["alerts", "acknowledge", alert, "--note", "looking"]);
    assert!(code == Some(0) && done.starts_with("acknowledged: "), "{done}");
    assert_eq!(here.json(&["alerts", "list", "--json"])["items"][0]["note"], "looking");
    assert_eq!(said(&here, &["alerts", "show", alert]), said(&there, &["alerts", "show", alert]));
    for subject in [&[alert][..], &["--match", "service=shop"]] {
        let (code, text) = said(&here, &[&["alerts", "silence"], subject].concat());
        assert_eq!(code, Some(0), "{text}");
        let (id, note) = text.split_once('\n').unwrap();
        assert_eq!(note.trim(), "it matches 1 open alert");
        let silences = there.json(&["alerts", "silences", "--json"]);
        assert_eq!(
            (&silences["items"][0]["id"], &silences["items"][0]["match"]["service"]),
            (&json!(id), &json!("shop"))
        );
        assert_eq!(said(&here, &["alerts", "unsilence", id]), (Some(0), "ended\n".to_owned()));
    }
    let (code, made) = said(&here, &["keys", "create", "phone", "--scope", "read"]);
    assert!(code == Some(0) && made.starts_with("dw_"), "{made}");
    assert_eq!(said(&here, &["keys", "revoke", "phone"]), (Some(0), "revoked: phone\n".to_owned()));
    assert_eq!(said(&here, &["keys", "revoke", "phone"]).0, Some(1));
    let (code, id) = said(&here, &["schedules", "run", "nightly"]);
    assert!(
        code == Some(0) && said(&there, &["jobs", "show", id.trim()]).1.contains("check_service_health"),
        "{id}"
    );
    assert_eq!(said(&here, &["check-thresholds"]).0, Some(0));
    let report = here.json(&["report", "--hours", "1", "--json"]);
    assert_eq!(report["title"], "Performance of an hour", "{report}");
    assert_eq!(said(&here, &["queues", "pause", "default"]).0, Some(0));
    assert_eq!(there.json(&["queues", "list", "--json"])["items"][0]["paused"], true);
    assert_eq!(said(&here, &["queues", "resume", "default"]).0, Some(0));
    assert_eq!(said(&here, &["queues", "purge", "default", "--yes"]), (Some(0), "cancelled: 0\n".to_owned()));
    assert_eq!(said(&here, &["queues", "purge", "default"]).0, Some(2));

    // What makes no sense is wrong usage, as here; what only works there says so.
    let (code, told) = said(&here, &["enqueue", "check_service_helth"]);
    assert!(code == Some(2) && told.contains("did you mean"), "{told}");
    for arguments in [&["migrate"][..], &["schedules", "validate"]] {
        let (code, told) = said(&here, arguments);
        assert!(
            code == Some(2) && told.contains("this command works on the machine itself"),
            "{arguments:?}: {told}"
        );
    }
    let (code, told) = said(&here, &["--url", "http://127.0.0.1:1", "queues", "list"]);
    assert!(code == Some(1) && told.contains("cannot reach http://127.0.0.1:1"), "{told}");
    assert!(!told.contains(&key), "{told}");
}
