//! What a channel delivers: an alert at one moment of its life, in words that belong to no channel.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Low,
    /// To be looked at in working hours.
    Medium,
    /// To be looked at soon.
    High,
    /// Users suffer now.
    Critical,
}

/// What happened to the alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Its condition holds.
    Raised,
    /// Its condition has cleared.
    Resolved,
}

/// One notification. Its JSON form is the body of a webhook.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// The same at each attempt to deliver it, so that a receiver can tell a repetition.
    pub id: Uuid,
    /// What happened.
    pub event: Event,
    /// When.
    pub at: DateTime<Utc>,
    /// The alert.
    pub alert_id: Uuid,
    /// What is the matter, whoever finds it: the same condition has the same fingerprint.
    pub fingerprint: String,
    /// Kind of condition, such as `error_rate`.
    pub alert_type: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What was seen, with figures.
    pub description: String,
    /// The service it is about.
    pub service: Option<String>,
    /// The endpoint it is about.
    pub endpoint: Option<String>,
    /// The host it is about.
    pub host: Option<String>,
    /// What was measured.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The unit of both.
    pub unit: Option<String>,
    /// When the condition was first seen.
    pub first_seen_at: DateTime<Utc>,
}
