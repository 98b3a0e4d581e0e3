//! `PagerDuty`, by its Events API v2. A group is one incident there: its `dedup_key` is the group, so that an attempt that
//! comes twice opens nothing twice, and the end of all its alerts resolves it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dogwatch_alerting::Severity;
use dogwatch_runtime::duration;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::SendError;
use crate::http;
use crate::limit::Limit;
use crate::message::Message;
use crate::settings::{everything, ten_seconds};

const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";
/// Characters of a summary.
const MAX_SUMMARY: usize = 1024;

/// `[[notify.pagerduty]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerdutySettings {
    /// Its name among the channels.
    pub name: String,
    /// The integration key of a service.
    pub routing_key: SecretString,
    /// Where events go.
    #[serde(default = "events")]
    pub url: SecretString,
    /// The least severity that is sent.
    #[serde(default = "everything")]
    pub min_severity: Severity,
    /// How long it may take.
    #[serde(default = "ten_seconds", with = "duration::required")]
    pub timeout: Duration,
    /// How many messages in which time.
    #[serde(default = "Limit::usual")]
    pub limit: Limit,
}

fn events() -> SecretString {
    EVENTS.into()
}

impl PagerdutySettings {
    pub(crate) fn validate(&self) -> Result<(), (String, String)> {
        http::check_url(&self.url).map_err(|reason| ("url".to_owned(), reason))
    }
}

#[derive(Debug)]
pub(crate) struct Pagerduty {
    http: reqwest::Client,
    url: SecretString,
    routing_key: SecretString,
}

impl Pagerduty {
    pub(crate) fn new(settings: &PagerdutySettings) -> Result<Self, reqwest::Error> {
        let http = http::client(settings.timeout)?;
        Ok(Self { http, url: settings.url.clone(), routing_key: settings.routing_key.clone() })
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<Option<String>, SendError> {
        // The end of what was never opened there is dropped: what began and ended meanwhile is opened first.
        let actions: &[&str] = match (message.status, message.has_beginnings) {
            ("resolved", true) => &["trigger", "resolve"],
            ("resolved", false) => &["resolve"],
            _ => &["trigger"],
        };
        let mut key = None;
        for action in actions {
            let body = payload(message, action, self.routing_key.expose_secret());
            let sent = http::send(self.http.post(self.url.expose_secret()).json(&body)).await;
            let answer = sent.map_err(|error| if key.is_some() { of_a_second_step(error) } else { error })?;
            let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
            key = Some(answer["dedup_key"].as_str().unwrap_or_default().to_owned());
        }
        Ok(key)
    }
}

/// The first one has arrived: the whole may not be told anew in another group.
fn of_a_second_step(error: SendError) -> SendError {
    match error {
        SendError::NotReceived { reason, .. } => SendError::Unknown { reason },
        error => error,
    }
}

fn payload(message: &Message, action: &str, routing_key: &str) -> Value {
    let told = message.alerts.first();
    let severity = match message.severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "info",
    };
    let key = URL_SAFE_NO_PAD.encode(Sha256::digest(message.group.as_bytes()));
    let source = told.and_then(|told| told.service.clone().or_else(|| told.host.clone()));
    let lines = message
        .alerts
        .iter()
        .map(|told| format!("{}: {}. {}", told.event.words(), told.title, told.description));
    json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": format!("dogwatch-{key}"),
        "client": "Dogwatch",
        "payload": {
            "summary": message.title.chars().take(MAX_SUMMARY).collect::<String>(),
            "source": source.unwrap_or_else(|| "dogwatch".to_owned()),
            "severity": severity,
            "timestamp": message.at.to_rfc3339(),
            "component": told.and_then(|told| told.endpoint.clone()),
            "group": message.group,
            "class": told.map(|told| told.alert_type.clone()),
            "custom_details": {
                "alerts": lines.collect::<Vec<_>>(),
                "total": message.total,
                "late": message.late,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{message, tls};
    use dogwatch_testing::HttpPeer;

    #[tokio::test]
    async fn a_group_is_one_incident_from_its_beginning_to_its_end() {
        tls();
        let peer = HttpPeer::start().await;
        peer.answer(202, r#"{"status": "success", "dedup_key": "k"}"#);
        let settings = json!({"name": "p", "routing_key": "R", "url": peer.url()});
        let pagerduty = Pagerduty::new(&serde_json::from_value(settings).unwrap()).unwrap();
        assert_eq!(pagerduty.send(&message(1, 0)).await.unwrap().as_deref(), Some("k"));
        pagerduty.send(&Message { has_beginnings: false, ..message(0, 1) }).await.unwrap();
        // It was never opened there.
        pagerduty.send(&message(0, 1)).await.unwrap();
        let bodies: Vec<Value> =
            peer.requests().iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect();
        let actions: Vec<_> = bodies.iter().map(|body| &body["event_action"]).collect();
        assert_eq!(actions, ["trigger", "resolve", "trigger", "resolve"]);
        assert_eq!(bodies[0]["dedup_key"], bodies[1]["dedup_key"]);
        assert_eq!(
            (&bodies[0]["payload"]["severity"], &bodies[0]["routing_key"]),
            (&json!("error"), &json!("R"))
        );
    }
}
