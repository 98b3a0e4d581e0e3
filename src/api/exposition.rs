//! `GET /metrics`: what Dogwatch knows of itself, in Prometheus's text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). A source that does not answer is left out, and that is
//! told as a figure too.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use dogwatch_queue::QueueCounts;

use super::{ApiState, health};
use crate::watchdog::Watched;

pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    let (queues, undelivered, watched) = tokio::join!(
        state.inspector.counts(),
        state.store.undelivered_notifications(),
        health::watched(&state)
    );
    let mut text = String::new();
    gauge(
        &mut text,
        "dogwatch_up",
        "Whether a part answers",
        [
            ("part=\"redis\"".to_owned(), f64::from(u8::from(queues.is_ok()))),
            ("part=\"postgres\"".to_owned(), f64::from(u8::from(undelivered.is_ok()))),
        ],
    );
    of_queues(&mut text, &queues.unwrap_or_default());
    if let Ok(undelivered) = undelivered {
        let name = "dogwatch_notifications_undelivered";
        gauge(
            &mut text,
            name,
            "Notifications that wait to be delivered",
            [(String::new(), undelivered as f64)],
        );
    }
    of_schedules(&mut text, &watched);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn of_queues(text: &mut String, queues: &[QueueCounts]) {
    let jobs = queues.iter().flat_map(|queue| {
        let states = [
            ("ready", queue.ready),
            ("running", queue.running),
            ("scheduled", queue.scheduled),
            ("retrying", queue.retrying),
            ("dead", queue.dead),
        ];
        states
            .map(|(state, count)| (format!("queue={},state=\"{state}\"", quoted(&queue.name)), count as f64))
    });
    gauge(text, "dogwatch_queue_jobs", "Jobs in a queue, by state", jobs);
    let oldest = queues.iter().filter_map(|queue| {
        Some((format!("queue={}", quoted(&queue.name)), queue.oldest_ready_ms? as f64 / 1e3))
    });
    gauge(text, "dogwatch_queue_oldest_ready_seconds", "How long the first that is ready waits", oldest);
}

fn of_schedules(text: &mut String, watched: &[Watched]) {
    let labels =
        |watched: &Watched| format!("schedule={},job={}", quoted(&watched.schedule), quoted(&watched.job));
    let last = watched.iter().filter_map(|watched| {
        Some((labels(watched), watched.last_success_at?.timestamp_millis() as f64 / 1e3))
    });
    let help = "When the job of a schedule succeeded last";
    gauge(text, "dogwatch_schedule_last_success_timestamp_seconds", help, last);
    let overdue = watched.iter().map(|watched| (labels(watched), f64::from(u8::from(watched.is_overdue))));
    gauge(text, "dogwatch_schedule_overdue", "Whether it should have succeeded by now and has not", overdue);
}

/// Writing into a String cannot fail.
fn gauge(text: &mut String, name: &str, help: &str, values: impl IntoIterator<Item = (String, f64)>) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in values {
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
