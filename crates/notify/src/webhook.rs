//! The channel for programs: an HTTP POST with the notification as JSON.
//!
//! `webhook-id` and `webhook-timestamp` are the headers of Standard Webhooks (<https://www.standardwebhooks.com>); the
//! id is the same at each attempt. Redirects are not followed: the address comes from the configuration alone.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use reqwest::header::RETRY_AFTER;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use crate::SendError;
use crate::message::{Message, Severity};

/// How much of an answer goes into an error.
const MAX_ERROR_BYTES: usize = 300;

/// `[[notify.webhooks]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Its name among the channels.
    pub name: String,
    /// Where to. A secret: the address of a webhook often is its only key.
    pub url: SecretString,
    /// The least severity that is sent.
    #[serde(default = "everything")]
    pub min_severity: Severity,
    /// How long the receiver may take.
    #[serde(default = "ten_seconds", with = "duration")]
    pub timeout: Duration,
}

fn everything() -> Severity {
    Severity::Low
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

impl WebhookSettings {
    pub(crate) fn validate(&self) -> Result<(), String> {
        let url = Url::parse(self.url.expose_secret()).map_err(|error| format!("is no URL: {error}"))?;
        match url.scheme() {
            "http" | "https" => Ok(()),
            scheme => Err(format!("begins with `{scheme}:`; write http://… or https://…")),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Webhook {
    http: reqwest::Client,
    url: SecretString,
}

impl Webhook {
    pub(crate) fn new(settings: &WebhookSettings) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("dogwatch/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, url: settings.url.clone() })
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let response = self
            .http
            .post(self.url.expose_secret())
            .header("webhook-id", message.id.to_string())
            .header("webhook-timestamp", message.at.timestamp())
            .json(message)
            .send()
            .await
            .map_err(|error| SendError::Unreachable(chain(&error.without_url())))?;
        if response.status().is_success() {
            return Ok(());
        }
        let status = response.status().as_u16();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = seconds.map(Duration::from_secs);
        Err(SendError::Refused { status, body: beginning(response).await, retry_after })
    }
}

/// Reads no more of an answer than is shown.
async fn beginning(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(MAX_ERROR_BYTES);
    String::from_utf8_lossy(&body).trim().to_owned()
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Event;
    use dogwatch_testing::HttpPeer;
    use uuid::Uuid;

    fn webhook(url: &str) -> Webhook {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = WebhookSettings {
            name: "ops".to_owned(),
            url: format!("{url}hook?key=hunter2").into(),
            min_severity: Severity::Low,
            timeout: Duration::from_millis(500),
        };
        Webhook::new(&settings).unwrap()
    }

    fn message() -> Message {
        let at = "2026-05-20T12:00:00Z".parse().unwrap();
        Message {
            id: Uuid::nil(),
            event: Event::Raised,
            at,
            alert_id: Uuid::nil(),
            fingerprint: "error_rate:shop".to_owned(),
            alert_type: "error_rate".to_owned(),
            severity: Severity::High,
            title: "shop: 50.0 % of requests fail".to_owned(),
            description: String::new(),
            service: Some("shop".to_owned()),
            endpoint: None,
            host: None,
            value: Some(50.0),
            threshold: Some(5.0),
            unit: Some("%".to_owned()),
            first_seen_at: at,
        }
    }

    #[tokio::test]
    async fn a_message_is_posted_as_json_with_its_id() {
        let peer = HttpPeer::start().await;
        webhook(&peer.url()).send(&message()).await.unwrap();
        let request = &peer.requests()[0];
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?key=hunter2"));
        assert_eq!(request.headers["webhook-id"], Uuid::nil().to_string());
        assert_eq!(request.headers["webhook-timestamp"], "1779278400");
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!((&body["event"], &body["severity"]), (&"raised".into(), &"high".into()));
    }

    #[tokio::test]
    async fn what_went_wrong_is_told_without_the_address() {
        let peer = HttpPeer::start().await;
        let webhook = webhook(&peer.url());
        peer.answer(500, &"x".repeat(9000));
        let refused = webhook.send(&message()).await.unwrap_err().to_string();
        assert!(refused.starts_with("the receiver answered 500: xxx") && refused.len() < 400, "{refused}");
        peer.delay(Duration::from_secs(30));
        let late = webhook.send(&message()).await.unwrap_err().to_string();
        peer.pause().await;
        let closed = webhook.send(&message()).await.unwrap_err().to_string();
        for error in [refused, late, closed] {
            assert!(!error.contains("hunter2") && !error.contains("127.0.0.1"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let peer = HttpPeer::start().await;
        peer.answer(302, "elsewhere");
        let error = webhook(&peer.url()).send(&message()).await.unwrap_err();
        assert!(matches!(error, SendError::Refused { status: 302, .. }), "{error}");
    }
}
