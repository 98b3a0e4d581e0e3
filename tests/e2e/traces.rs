//! A trace goes from whoever enqueues, through the queue, to the job and its SQL: in the log, where machines read it.

use dogwatch_testing::eventually;
use serde_json::{Value, json};

use crate::support::{LONG, Place, Process};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Lines of a log for machines, of which each is one object.
fn lines(process: &Process) -> Vec<Value> {
    let log = process.log();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// The trace that a line is of, by itself or by what it stands in.
fn trace(line: &Value) -> Option<&str> {
    line["trace_id"].as_str().or_else(|| line["span"]["trace_id"].as_str())
}

#[tokio::test]
async fn a_trace_goes_through_the_queue_to_the_job_and_its_sql() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut place = Place::new().await;
    place.set("DOGWATCH_LOG_FORMAT", "json");
    place.set("DOGWATCH_LOG_FILTER", "info,sqlx::query=debug");
    let (api, worker) = (place.start(&["api"]), place.start(&["worker"]));
    let base = api.api().await;
    let jobs = format!("{base}/api/v1/jobs");
    let enqueue =
        crate::support::http().post(&jobs).header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let enqueued: Value =
        enqueue.json(&json!({"job": "check_service_health"})).send().await.unwrap().json().await.unwrap();
    let id = enqueued["id"].as_str().unwrap();

    let ended =
        async || lines(&worker).iter().any(|line| line["job.id"] == id && line["outcome"] == "accepted");
    eventually(LONG, "the job has ended", ended).await;
    let lines = lines(&worker);
    let of_trace: Vec<_> = lines.iter().filter(|line| trace(line) == Some(TRACE)).collect();
    assert!(
        of_trace.iter().any(|line| line["job.id"] == id && line["outcome"] == "accepted"),
        "{of_trace:?}"
    );
    let is_sql = |line: &&&Value| line["target"] == "sqlx::query" && line["span"]["job.id"] == id;
    assert!(of_trace.iter().filter(is_sql).count() > 0, "{of_trace:?}");
    let job: Value = crate::support::get(format!("{jobs}/{id}")).await.unwrap().json().await.unwrap();
    assert_eq!(job["trace_id"], TRACE);

    // One that was enqueued by a command, in a pipeline that is traced.
    let other = "0af7651916cd43dd8448eb211c80319c";
    place.set("TRACEPARENT", &format!("00-{other}-00f067aa0ba902b7-01"));
    let job = place.json(&["enqueue", "check_service_health", "--wait", "--json"]);
    assert_eq!(job["trace_id"], other, "{job}");
}
