//! Tells people and programs about alerts, over the channels that dogwatch.toml configures.
//!
//! A channel answers one question: was this notification delivered, and if not, is it worth trying again. Retry,
//! deduplication and order are the caller's business: the outbox in Postgres remembers what has to be told, the queue
//! when to try again.

mod log;
mod message;
mod settings;
mod webhook;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::log::LogSettings;
pub use self::message::{Event, Message, Severity};
pub use self::settings::Settings;
pub use self::webhook::WebhookSettings;

use self::webhook::Webhook;

/// All configured channels, by name.
#[derive(Debug)]
pub struct Notifier {
    channels: BTreeMap<String, (Severity, Channel)>,
}

#[derive(Debug)]
enum Channel {
    Log,
    Webhook(Webhook),
}

/// Why a message was not delivered. Contains no secret: not the address of a webhook, which often is one.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No channel has this name, any more.
    #[error("channel `{0}` is not configured")]
    NoSuchChannel(String),
    /// The receiver could not be reached, or did not answer in time.
    #[error("the receiver cannot be reached: {0}")]
    Unreachable(String),
    /// The receiver answered, but not with success.
    #[error("the receiver answered {status}: {body}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
        /// When it asks to be tried again.
        retry_after: Option<Duration>,
    },
}

impl Notifier {
    /// Opens the channels.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let mut channels = BTreeMap::new();
        if settings.log.enabled {
            channels.insert("log".to_owned(), (settings.log.min_severity, Channel::Log));
        }
        for webhook in &settings.webhooks {
            let channel = Channel::Webhook(Webhook::new(webhook)?);
            channels.insert(webhook.name.clone(), (webhook.min_severity, channel));
        }
        Ok(Self { channels })
    }

    /// Names of the channels that want to hear of alerts of this severity.
    pub fn channels_for(&self, severity: Severity) -> Vec<String> {
        let wants = self.channels.iter().filter(|(_, (min, _))| severity >= *min);
        wants.map(|(name, _)| name.clone()).collect()
    }

    /// Delivers a message. When this returns `Ok`, the receiver has it. Bounded in time by the channel's timeout.
    pub async fn send(&self, channel: &str, message: &Message) -> Result<(), SendError> {
        match self.channels.get(channel) {
            None => Err(SendError::NoSuchChannel(channel.to_owned())),
            Some((_, Channel::Log)) => {
                log::write(message);
                Ok(())
            }
            Some((_, Channel::Webhook(webhook))) => webhook.send(message).await,
        }
    }
}
