//! What people do to queues and jobs, by command line and by API: each order holds for processes that run already.

use dogwatch_testing::eventually;
use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{LONG, Place};

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    crate::support::http()
}

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

const JOB: &str = "check_service_health";

#[tokio::test]
async fn a_queue_is_paused_resumed_purged_and_looked_at_from_a_shell() {
    let place = Place::new().await;
    let enqueue = |more: &[&str]| text(&place.run(&[&["enqueue", JOB], more].concat())).trim().to_owned();
    let waiting = enqueue(&["--delay", "10m"]);
    assert!(place.run(&["queues", "pause", "default"]).status.success());
    let worker = place.start(&["worker"]);
    let id = enqueue(&[]);
    let workers = async || place.json(&["workers", "list", "--json"])["items"].as_array().unwrap().len() == 1;
    eventually(LONG, "the worker is seen", workers).await;
    let queue = place.json(&["queues", "list", "--json"])["items"][0].clone();
    let expected =
        json!({"ready": 1, "running": 0, "scheduled": 1, "retrying": 0, "dead": 0, "paused": true});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&queue[key], value, "{key}: {queue}");
    }
    assert!(queue["oldest_ready_ms"].as_i64().unwrap() >= 0);
    assert!(place.run(&["queues", "resume", "default"]).status.success());
    let state = async |id: &str| place.json(&["jobs", "show", id, "--json"])["state"].clone();
    eventually(LONG, "the job has succeeded", async || state(&id).await == "succeeded").await;

    let refused = place.run(&["queues", "purge", "default"]);
    assert_eq!((refused.status.code(), state(&waiting).await), (Some(2), json!("scheduled")));
    assert!(text(&refused).contains("add --yes"), "{}", text(&refused));
    assert_eq!(text(&place.run(&["queues", "purge", "default", "--yes"])), "cancelled: 1\n");
    assert_eq!(state(&waiting).await, "cancelled");
    let unknown = place.run(&["queues", "pause", "defualt"]);
    assert!(
        text(&unknown).contains("no queue is named `defualt`; did you mean `default`?"),
        "{}",
        text(&unknown)
    );
    drop(worker);
}

#[tokio::test]
async fn a_job_is_unique_cancelled_and_run_again_from_a_shell() {
    let place = Place::new().await;
    let unique = ["enqueue", JOB, "--unique-key", "one", "--delay", "10m", "--json"];
    let (first, second) = (place.json(&unique), place.json(&unique));
    assert_eq!(
        (&first["is_new"], &second["is_new"], &first["id"]),
        (&json!(true), &json!(false), &second["id"])
    );
    let id = first["id"].as_str().unwrap();
    assert!(place.run(&["jobs", "cancel", id]).status.success());
    let again = place.run(&["jobs", "cancel", id]);
    assert!(!again.status.success() && text(&again).contains("has ended already"), "{}", text(&again));
    let third = place.json(&unique);
    assert_eq!(third["is_new"], json!(true), "the key is free");
    let held = place.run(&["jobs", "retry", id]);
    assert!(!held.status.success() && text(&held).contains("cannot run again now"), "{}", text(&held));
    assert!(place.run(&["jobs", "cancel", third["id"].as_str().unwrap()]).status.success());

    let worker = place.start(&["worker"]);
    assert!(place.run(&["jobs", "retry", id]).status.success());
    let succeeded = async || place.json(&["jobs", "show", id, "--json"])["state"] == "succeeded";
    eventually(LONG, "it has run after all", succeeded).await;
    let history = place.json(&["jobs", "history", "--json"])["items"][0].clone();
    assert_eq!((&history["job"], &history["succeeded"]), (&json!(JOB), &json!(1)));
    let wrong = place.run(&["enqueue", JOB, "--backoff", "sometimes"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong).contains("write exponential:10s:10m or fixed:30s"), "{}", text(&wrong));
    drop(worker);
}

#[tokio::test]
async fn dead_letters_are_listed_replayed_and_discarded() {
    let (place, http) = (Place::new().await, client());
    let (api, _worker) = (place.start(&["api"]), place.start(&["worker"]));
    let base = format!("{}/api/v1", api.api().await);
    // Zero days would remove today's data: dead at the first attempt.
    let job = json!({"job": "cleanup_old_performance_data", "args": {"days": 0}, "id": "bad"});
    assert_eq!(http.post(format!("{base}/jobs")).json(&job).send().await.unwrap().status(), 202);
    let dead = async || place.json(&["jobs", "dead", "--json"])["items"].as_array().unwrap().len() == 1;
    eventually(LONG, "it is dead", dead).await;
    let nothing = text(&place.run(&["jobs", "replay", "--all", "--error", "no such error"]));
    assert_eq!(nothing, "replayed: 0\n");
    assert_eq!(place.run(&["jobs", "replay"]).status.code(), Some(2));

    let retry = |body: Value| http.post(format!("{base}/jobs/bad/retry")).json(&body).send();
    let refused = retry(json!({"args": {"days": "many"}})).await.unwrap();
    assert_eq!(refused.status(), 422);
    let accepted = retry(json!({"args": {"days": 3000}})).await.unwrap();
    assert_eq!(accepted.status(), 200);
    let state = async || {
        http.get(format!("{base}/jobs/bad")).send().await.unwrap().json::<Value>().await.unwrap()["state"]
            .clone()
    };
    eventually(LONG, "it has succeeded with other arguments", async || state().await == "succeeded").await;
    assert_eq!(retry(json!({})).await.unwrap().status(), 409);
    assert_eq!(http.post(format!("{base}/jobs/none/retry")).send().await.unwrap().status(), 404);
    assert_eq!(http.post(format!("{base}/jobs/bad/cancel")).send().await.unwrap().status(), 409);

    let paused = http.post(format!("{base}/queues/default/pause")).send().await.unwrap();
    assert_eq!(paused.json::<Value>().await.unwrap()["paused"], json!(true));
    let resumed = http.post(format!("{base}/queues/default/resume")).send().await.unwrap();
    assert_eq!(resumed.json::<Value>().await.unwrap()["paused"], json!(false));
    assert_eq!(http.post(format!("{base}/queues/nope/pause")).send().await.unwrap().status(), 404);
    let workers: Value = http.get(format!("{base}/workers")).send().await.unwrap().json().await.unwrap();
    assert_eq!(workers["items"].as_array().unwrap().len(), 1);
    let again = json!({"job": "cleanup_old_performance_data", "args": {"days": 0}, "id": "worse"});
    http.post(format!("{base}/jobs")).json(&again).send().await.unwrap();
    eventually(LONG, "it is dead", dead).await;
    assert_eq!(text(&place.run(&["jobs", "discard", "worse"])), "discarded: worse\n");
    assert!(!place.run(&["jobs", "discard", "worse"]).status.success());
}
