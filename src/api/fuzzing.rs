//! See `src/fuzzing.rs`.

use chrono::{DateTime, TimeDelta};
use dogwatch_alerting::{Routing, Settings};
use dogwatch_jobs::Alerting;
use dogwatch_queue::NewJob;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::alerts::FindingRequest;
use super::body::parse;
use super::jobs::JobRequest;
use super::keys::KeyRequest;
use super::performance_metrics::MetricRequest;
use super::silences::NewSilence;
use crate::access::scope_of_job;
use crate::fuzzing::variant;

/// The body of a request of the API.
///
/// # Panics
/// When a promise is broken.
pub fn api_body(data: &[u8]) {
    let Some((variant, text)) = variant(data, 5) else { return };
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return };
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    match variant {
        0 => {
            if let Some(Ok((finding, _))) = read::<FindingRequest>(&value).map(|it| it.check("", &alerting()))
            {
                assert!(!finding.labels.contains_key("source") && !finding.title.contains(char::is_control));
            }
        }
        1 => {
            if let Some(Ok(metric)) = read::<MetricRequest>(&value).map(|it| it.check("", now)) {
                assert!(metric.response_time_ms.is_finite() && !metric.service.contains(char::is_control));
            }
        }
        2 => {
            if let Some(job) = read::<JobRequest>(&value) {
                let job: NewJob = job.into();
                scope_of_job(&job.job, &job.args);
            }
        }
        3 => drop(read::<NewSilence>(&value)),
        _ => drop(read::<KeyRequest>(&value)),
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    parse("", value).ok()
}

fn alerting() -> Alerting {
    Alerting {
        settings: Settings {
            reopen_within: TimeDelta::minutes(30),
            flapping_changes: 6,
            flapping_within: TimeDelta::hours(1),
            give_up_after: TimeDelta::hours(24),
            max_open_per_key: 1000,
            expire_after: TimeDelta::days(7),
        },
        rules: Vec::new(),
        built_in: std::collections::BTreeSet::new(),
        routing: Routing::default(),
        maintenance: Vec::new(),
        quiet_hours: Vec::new(),
        inhibitions: Vec::new(),
    }
}
