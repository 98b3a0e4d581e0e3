//! Slack: by an incoming webhook, or by a token, which also keeps what belongs together in one thread.

use std::time::Duration;

use dogwatch_alerting::Severity;
use dogwatch_runtime::duration;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::SendError;
use crate::http;
use crate::limit::Limit;
use crate::message::{Event, Message, Told};
use crate::settings::{everything, ten_seconds};

const API: &str = "https://slack.com/api/";
/// What Slack takes: characters of a header and of a section, and blocks of a message.
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;
/// Characters of a title in a section.
const MAX_TITLE: usize = 200;
const MAX_ALERTS: usize = 10;
/// Errors of its API that another try may mend.
const PASSING: [&str; 6] = [
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
];

/// `[[notify.slack]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackSettings {
    /// Its name among the channels.
    pub name: String,
    /// The address of an incoming webhook; or `token` and `channel`.
    pub url: Option<SecretString>,
    /// The token of a bot that may write (`chat:write`).
    pub token: Option<SecretString>,
    /// Where it writes: the id of a channel.
    pub channel: Option<String>,
    /// Where the API is.
    #[serde(default = "api")]
    pub api: String,
    /// The least severity that is sent.
    #[serde(default = "everything")]
    pub min_severity: Severity,
    /// How long Slack may take.
    #[serde(default = "ten_seconds", with = "duration::required")]
    pub timeout: Duration,
    /// How many messages in which time.
    #[serde(default = "Limit::usual")]
    pub limit: Limit,
}

fn api() -> String {
    API.to_owned()
}

impl SlackSettings {
    pub(crate) fn validate(&self) -> Result<(), (String, String)> {
        match (&self.url, &self.token, &self.channel) {
            (Some(url), None, None) => http::check_url(url).map_err(|reason| ("url".to_owned(), reason)),
            (None, Some(_), Some(_)) => Ok(()),
            _ => Err(("url".to_owned(), "write `url`, or `token` and `channel`".to_owned())),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Slack {
    http: reqwest::Client,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Webhook(SecretString),
    Bot { url: String, token: SecretString, channel: String },
}

impl Slack {
    pub(crate) fn new(settings: &SlackSettings) -> Result<Self, reqwest::Error> {
        let way = match (&settings.url, &settings.token, &settings.channel) {
            (None, Some(token), Some(channel)) => {
                let url = format!("{}/chat.postMessage", settings.api.trim_end_matches('/'));
                Way::Bot { url, token: token.clone(), channel: channel.clone() }
            }
            (url, ..) => Way::Webhook(url.clone().unwrap_or_default()),
        };
        Ok(Self { http: http::client(settings.timeout)?, way })
    }

    /// What Slack calls the message, where it says so.
    pub(crate) async fn send(&self, message: &Message) -> Result<Option<String>, SendError> {
        let mut body = payload(message);
        match &self.way {
            Way::Webhook(url) => {
                http::send(self.http.post(url.expose_secret()).json(&body)).await.map(|_| None)
            }
            Way::Bot { url, token, channel } => {
                body["channel"] = json!(channel);
                if let Some((_, Some(first))) = &message.thread {
                    body["thread_ts"] = json!(first);
                    // The end is told to those too who do not follow the thread.
                    body["reply_broadcast"] = json!(message.status == "resolved");
                }
                let request = self.http.post(url).bearer_auth(token.expose_secret()).json(&body);
                read(&http::send(request).await?)
            }
        }
    }
}

/// Slack's API answers 200 whatever became of it.
fn read(answer: &str) -> Result<Option<String>, SendError> {
    let Ok(answer) = serde_json::from_str::<Value>(answer) else {
        return Err(SendError::Unknown { reason: "Slack answered with no JSON".to_owned() });
    };
    if answer["ok"] == true {
        return Ok(answer["ts"].as_str().map(str::to_owned));
    }
    let error = answer["error"].as_str().unwrap_or("no reason").to_owned();
    let reason = format!("Slack answered `{error}`");
    if PASSING.contains(&error.as_str()) {
        Err(SendError::not_received(reason))
    } else {
        Err(SendError::permanent(reason))
    }
}

fn payload(message: &Message) -> Value {
    let icon = match (message.status, message.severity) {
        ("resolved", _) => "🟢",
        (_, Severity::Critical | Severity::High) => "🔴",
        (_, Severity::Medium) => "🟠",
        (_, Severity::Low) => "🟡",
    };
    let header = short(&format!("{icon} {}", message.title), MAX_HEADER);
    let mut blocks =
        vec![json!({"type": "header", "text": {"type": "plain_text", "text": header, "emoji": true}})];
    if let Some(late) = &message.late {
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": format!("⏳ {}", escape(late))}]}));
    }
    for told in message.alerts.iter().take(MAX_ALERTS) {
        blocks.push(
            json!({"type": "section", "text": {"type": "mrkdwn", "text": section(told), "verbatim": true}}),
        );
    }
    let unnamed = message.total - message.alerts.len().min(MAX_ALERTS);
    if unnamed > 0 {
        let more = format!("… and {unnamed} more: `dogwatch alerts list`");
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": more}]}));
    }
    json!({"text": escape(&header), "blocks": blocks, "unfurl_links": false})
}

fn section(told: &Told) -> String {
    let mark = if told.event == Event::Resolved { "✅" } else { "▪️" };
    let runbook = told.runbook().map(|url| format!("\n<{}|runbook>", escape(&url))).unwrap_or_default();
    let fixed = format!("`{}`  {}", told.severity, told.event.words());
    let end = format!("\n_{}_{runbook}", told.when());
    // What is too long is cut before it is escaped, and never in a link.
    let title = escape(&short(&told.title, MAX_TITLE));
    let room =
        MAX_SECTION.saturating_sub(title.chars().count() + fixed.chars().count() + end.chars().count() + 20);
    format!("{mark} *{title}*  {fixed}\n{}{end}", escape_within(&told.description, room))
}

/// As Slack wants it: what services told is no markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The same, of no more than so many characters.
fn escape_within(text: &str, most: usize) -> String {
    let mut room = most;
    let mut shown = String::new();
    for character in text.chars() {
        let escaped = escape(character.encode_utf8(&mut [0; 4]));
        let length = escaped.chars().count();
        if length >= room {
            shown.push('…');
            break;
        }
        room -= length;
        shown.push_str(&escaped);
    }
    shown
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{message, tls};
    use dogwatch_testing::HttpPeer;

    fn slack(settings: &Value) -> Slack {
        tls();
        Slack::new(&serde_json::from_value(settings.clone()).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_incoming_webhook_gets_blocks_within_slacks_bounds() {
        let peer = HttpPeer::start().await;
        let slack = slack(&json!({"name": "s", "url": peer.url()}));
        let mut many = message(400, 3);
        many.alerts[0].title = "<script> & ".repeat(100);
        slack.send(&many).await.unwrap();
        let body: Value = serde_json::from_str(&peer.requests()[0].body).unwrap();
        let blocks = body["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50, "{}", blocks.len());
        for block in blocks {
            let text = block["text"]["text"].as_str().unwrap_or_default();
            assert!(
                text.chars().count() <= if block["type"] == "header" { 150 } else { 3000 }
                    && !text.contains("<script")
            );
        }
        assert!(body.to_string().contains("and 393 more"), "{body}");
    }

    #[test]
    fn nobody_is_mentioned_and_no_link_is_made_by_what_others_wrote() {
        let mut message = message(1, 0);
        message.title = "<!channel> fails".to_owned();
        let told = &mut message.alerts[0];
        told.title = "<!here> <https://evil.example|sign in>".to_owned();
        told.description = "<@U1>".repeat(2000);
        for (runbook, link) in [
            ("!channel", None),
            ("javascript:alert(1)", None),
            (
                "https://evil.example/login|Your session has expired",
                Some("<https://evil.example/login%7CYour%20session%20has%20expired|runbook>"),
            ),
            (
                "https://wiki.example.com/a?b=c&d=<e>",
                Some("<https://wiki.example.com/a?b=c&amp;d=%3Ce%3E|runbook>"),
            ),
        ] {
            message.alerts[0].labels = [("runbook".to_owned(), runbook.to_owned())].into();
            let payload = payload(&message);
            let text = payload["blocks"][1]["text"]["text"].as_str().unwrap();
            assert!(text.chars().count() <= MAX_SECTION);
            assert_eq!(text.split_once('<').map(|(_, link)| format!("<{link}")).as_deref(), link, "{text}");
            assert!(!payload["text"].as_str().unwrap().contains('<'), "{payload}");
        }
    }

    #[tokio::test]
    async fn a_bot_answers_in_the_thread_and_its_errors_are_told_apart() {
        let peer = HttpPeer::start().await;
        peer.answer(200, r#"{"ok": true, "ts": "17.5"}"#);
        let slack = slack(&json!({"name": "s", "token": "xoxb-1", "channel": "C1", "api": peer.url()}));
        let first = message(1, 0);
        assert_eq!(slack.send(&first).await.unwrap().as_deref(), Some("17.5"));
        let later = Message { thread: Some((first.id, Some("17.5".to_owned()))), ..message(0, 1) };
        slack.send(&later).await.unwrap();
        let body: Value = serde_json::from_str(&peer.requests()[1].body).unwrap();
        assert_eq!((&body["thread_ts"], &body["channel"]), (&json!("17.5"), &json!("C1")));
        assert_eq!(peer.requests()[1].headers["authorization"], "Bearer xoxb-1");
        peer.answer(200, r#"{"ok": false, "error": "ratelimited"}"#);
        assert!(matches!(slack.send(&first).await, Err(SendError::NotReceived { .. })));
        peer.answer(200, "<html>a proxy that is not well</html>");
        assert!(matches!(slack.send(&first).await, Err(SendError::Unknown { .. })));
        // Slack repeats the whole message.
        let long = json!({"ok": true, "message": "x".repeat(100_000), "ts": "18.5"});
        peer.answer(200, &long.to_string());
        assert_eq!(slack.send(&first).await.unwrap().as_deref(), Some("18.5"));
        peer.answer(200, r#"{"ok": false, "error": "channel_not_found"}"#);
        assert_eq!(slack.send(&first).await.unwrap_err().to_string(), "Slack answered `channel_not_found`");
    }
}
