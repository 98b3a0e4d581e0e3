//! Microsoft Teams: an Adaptive Card, posted to the address of a workflow ("when a Teams webhook request is received").

use std::time::Duration;

use dogwatch_alerting::Severity;
use dogwatch_runtime::duration;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::SendError;
use crate::http;
use crate::limit::Limit;
use crate::message::Message;
use crate::settings::{everything, ten_seconds};

/// A card may have 28 kB.
const MAX_ALERTS: usize = 10;
const MAX_TEXT: usize = 1000;

/// `[[notify.teams]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamsSettings {
    /// Its name among the channels.
    pub name: String,
    /// The address of the workflow.
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

impl TeamsSettings {
    pub(crate) fn validate(&self) -> Result<(), (String, String)> {
        http::check_url(&self.url).map_err(|reason| ("url".to_owned(), reason))
    }
}

#[derive(Debug)]
pub(crate) struct Teams {
    http: reqwest::Client,
    url: SecretString,
}

impl Teams {
    pub(crate) fn new(settings: &TeamsSettings) -> Result<Self, reqwest::Error> {
        Ok(Self { http: http::client(settings.timeout)?, url: settings.url.clone() })
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<(), SendError> {
        http::send(self.http.post(self.url.expose_secret()).json(&payload(message))).await.map(drop)
    }
}

fn payload(message: &Message) -> Value {
    let colour = match (message.status, message.severity) {
        ("resolved", _) => "Good",
        (_, Severity::Critical | Severity::High) => "Attention",
        _ => "Warning",
    };
    let text = |text: &str, more: Value| {
        let mut block = json!({"type": "TextBlock", "wrap": true, "text": plain(text)});
        if let (Some(block), Value::Object(more)) = (block.as_object_mut(), more) {
            block.extend(more);
        }
        block
    };
    let mut body = vec![text(&message.title, json!({"size": "Large", "weight": "Bolder", "color": colour}))];
    if let Some(late) = &message.late {
        body.push(text(late, json!({"isSubtle": true})));
    }
    for told in message.alerts.iter().take(MAX_ALERTS) {
        let title = format!("{} ({}, {})", told.title, told.severity, told.event.words());
        body.push(text(&title, json!({"weight": "Bolder", "separator": true})));
        body.push(text(&told.description, json!({"spacing": "None"})));
        body.push(text(&told.when(), json!({"spacing": "None", "isSubtle": true})));
    }
    let unnamed = message.total - message.alerts.len().min(MAX_ALERTS);
    if unnamed > 0 {
        body.push(text(&format!("… and {unnamed} more"), json!({"isSubtle": true})));
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}

/// A card reads Markdown; what services told is none.
fn plain(text: &str) -> String {
    let short: String = text.chars().take(MAX_TEXT).collect();
    short.chars().fold(String::new(), |mut plain, character| {
        if "\\*_[]~`#".contains(character) {
            plain.push('\\');
        }
        plain.push(character);
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{message, tls};
    use dogwatch_testing::HttpPeer;

    #[tokio::test]
    async fn a_card_is_bounded_and_has_no_markup_of_others() {
        tls();
        let peer = HttpPeer::start().await;
        let teams =
            Teams::new(&serde_json::from_value(json!({"name": "t", "url": peer.url()})).unwrap()).unwrap();
        let mut many = message(400, 3);
        many.alerts[0].title = "[click](http://evil) ".repeat(500);
        teams.send(&many).await.unwrap();
        let request = &peer.requests()[0];
        assert!(request.body.len() < 28_000, "{}", request.body.len());
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let card = &body["attachments"][0]["content"];
        assert_eq!(card["body"][0]["color"], "Attention");
        assert!(card["body"][1]["text"].as_str().unwrap().starts_with("\\[click\\]"));
    }
}
