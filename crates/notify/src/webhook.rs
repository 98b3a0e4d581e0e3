//! The channel for programs: an HTTP POST with the message as JSON, signed as Standard Webhooks says
//! (<https://www.standardwebhooks.com>). `webhook-id` is the same at each attempt.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use dogwatch_alerting::Severity;
use dogwatch_runtime::duration;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;

use crate::error::SendError;
use crate::http;
use crate::limit::Limit;
use crate::message::Message;
use crate::settings::{everything, ten_seconds};

/// How a secret begins.
const PREFIX: &str = "whsec_";

/// `[[notify.webhooks]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Its name among the channels.
    pub name: String,
    /// Where to. A secret: the address of a webhook often is its only key.
    pub url: SecretString,
    /// What requests are signed with: `whsec_` and 24 to 64 bytes in base64. With several, a request carries a signature by
    /// each, so that a secret can be changed while both are known.
    #[serde(default)]
    pub secrets: Vec<SecretString>,
    /// The least severity that is sent.
    #[serde(default = "everything")]
    pub min_severity: Severity,
    /// How long the receiver may take.
    #[serde(default = "ten_seconds", with = "duration::required")]
    pub timeout: Duration,
    /// How many messages in which time.
    #[serde(default = "Limit::usual")]
    pub limit: Limit,
}

impl WebhookSettings {
    pub(crate) fn validate(&self) -> Result<(), (String, String)> {
        http::check_url(&self.url).map_err(|reason| ("url".to_owned(), reason))?;
        for (index, secret) in self.secrets.iter().enumerate() {
            key(secret).map_err(|reason| (format!("secrets.{index}"), reason))?;
        }
        Ok(())
    }
}

fn key(secret: &SecretString) -> Result<Vec<u8>, String> {
    let wrong = || {
        format!(
            "is no secret; write `{PREFIX}` and 24 to 64 bytes in base64, as `openssl rand -base64 32` makes them"
        )
    };
    let text = secret.expose_secret().strip_prefix(PREFIX).ok_or_else(wrong)?;
    let key = STANDARD.decode(text).map_err(|_| wrong())?;
    if (24..=64).contains(&key.len()) { Ok(key) } else { Err(wrong()) }
}

#[derive(Debug)]
pub(crate) struct Webhook {
    http: reqwest::Client,
    url: SecretString,
    secrets: Vec<SecretString>,
}

impl Webhook {
    pub(crate) fn new(settings: &WebhookSettings) -> Result<Self, reqwest::Error> {
        let http = http::client(settings.timeout)?;
        Ok(Self { http, url: settings.url.clone(), secrets: settings.secrets.clone() })
    }

    pub(crate) async fn send(&self, message: &Message, now: DateTime<Utc>) -> Result<(), SendError> {
        let body = serde_json::to_string(message)
            .map_err(|error| SendError::permanent(format!("the message is no JSON: {error}")))?;
        let (id, timestamp) = (message.id.to_string(), now.timestamp());
        let mut request = self
            .http
            .post(self.url.expose_secret())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp);
        if !self.secrets.is_empty() {
            let signed = format!("{id}.{timestamp}.{body}");
            let signatures = self.secrets.iter().filter_map(|secret| signature(secret, &signed));
            request = request.header("webhook-signature", signatures.collect::<Vec<_>>().join(" "));
        }
        http::send(request.body(body)).await.map(drop)
    }
}

/// By a secret that is known to be one.
fn signature(secret: &SecretString, signed: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key(secret).ok()?).ok()?;
    mac.update(signed.as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{message, tls};
    use dogwatch_testing::HttpPeer;

    fn webhook(url: &str) -> Webhook {
        tls();
        let settings = format!(r#"{{"name": "ops", "url": "{url}hook?key=hunter2", "timeout": "500ms"}}"#);
        Webhook::new(&serde_json::from_str(&settings).unwrap()).unwrap()
    }

    fn now() -> DateTime<Utc> {
        "2026-05-20T12:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn a_message_is_posted_as_json_with_its_id() {
        let peer = HttpPeer::start().await;
        webhook(&peer.url()).send(&message(1, 0), now()).await.unwrap();
        let request = &peer.requests()[0];
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?key=hunter2"));
        assert_eq!(request.headers["webhook-id"], message(1, 0).id.to_string());
        assert_eq!(request.headers["webhook-timestamp"], "1779278400");
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!((&body["status"], &body["alerts"][0]["severity"]), (&"raised".into(), &"high".into()));
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of its own libraries' tests.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(signature(&secret, signed).unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[tokio::test]
    async fn while_a_secret_is_changed_both_sign() {
        let peer = HttpPeer::start().await;
        let mut webhook = webhook(&peer.url());
        webhook.secrets =
            ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_plJ3nmyCDGBKInavdOK15jsl00000000"]
                .map(SecretString::from)
                .to_vec();
        webhook.send(&message(1, 0), now()).await.unwrap();
        let header = peer.requests()[0].headers["webhook-signature"].clone();
        assert_eq!(header.split(' ').filter(|signature| signature.starts_with("v1,")).count(), 2, "{header}");
    }

    #[tokio::test]
    async fn what_went_wrong_is_told_without_the_address() {
        let peer = HttpPeer::start().await;
        let webhook = webhook(&peer.url());
        let send = async || webhook.send(&message(1, 0), now()).await.unwrap_err();
        peer.answer(500, &"x".repeat(9000));
        let refused = send().await;
        assert!(matches!(refused, SendError::Unknown { .. }), "{refused:?}");
        peer.answer(404, "gone");
        let gone = send().await;
        assert!(matches!(gone, SendError::Permanent { .. }), "{gone:?}");
        peer.answer(302, "elsewhere");
        assert!(matches!(send().await, SendError::Permanent { .. }), "a redirect is not followed");
        peer.delay(Duration::from_secs(30));
        let late = send().await;
        assert!(matches!(late, SendError::Unknown { .. }), "{late:?}");
        peer.pause().await;
        let closed = send().await;
        assert!(matches!(closed, SendError::NotReceived { .. }), "{closed:?}");
        for error in [refused, gone, late, closed] {
            let text = error.to_string();
            assert!(!text.contains("hunter2") && !text.contains("127.0.0.1") && text.len() < 500, "{text}");
        }
    }
}
