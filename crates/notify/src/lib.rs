//! Tells people and programs about alerts, over the channels that dogwatch.toml configures: a file per channel, beside its
//! settings.
//!
//! A channel answers one question: was this message delivered, and if not, may it have been, and is it worth trying again.
//! Retry, grouping and order are the caller's business: the outbox in Postgres remembers what has to be told.

mod email;
mod error;
mod http;
mod limit;
mod log;
mod message;
mod pagerduty;
mod settings;
mod slack;
mod teams;
#[cfg(test)]
mod tests_support;
mod webhook;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dogwatch_alerting::CANARY;

pub use self::email::{EmailSettings, Security};
pub use self::error::SendError;
pub use self::limit::Limit;
pub use self::log::LogSettings;
pub use self::message::{Chart, Event, MAX_NAMED, Message, Told};
pub use self::pagerduty::PagerdutySettings;
pub use self::settings::Settings;
pub use self::slack::SlackSettings;
pub use self::teams::TeamsSettings;
pub use self::webhook::WebhookSettings;

use self::email::Email;
use self::pagerduty::Pagerduty;
use self::slack::Slack;
use self::teams::Teams;
use self::webhook::Webhook;

/// All configured channels, by name.
#[derive(Debug)]
pub struct Notifier {
    channels: BTreeMap<String, Configured>,
}

#[derive(Debug)]
struct Configured {
    limit: Option<Limit>,
    channel: Channel,
}

#[derive(Debug)]
enum Channel {
    /// Takes everything: that it arrived is all that is asked.
    Canary,
    Log,
    Email(Box<Email>),
    Slack(Slack),
    Webhook(Webhook),
    Pagerduty(Pagerduty),
    Teams(Teams),
}

/// What is known of a message that its receiver has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What the receiver calls it, where it says so.
    pub name: Option<String>,
    /// Who of its recipients will never have it, and why.
    pub refused: Option<String>,
}

impl Receipt {
    fn named(name: Option<String>) -> Self {
        Self { name, refused: None }
    }
}

/// Why the channels cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up channel `{channel}`: {reason}")]
pub struct SetupError {
    channel: String,
    reason: String,
}

impl Notifier {
    /// Opens the channels. Connects to nothing.
    ///
    /// # Errors
    /// When the client of a channel cannot be built, or a file that it names cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let mut channels = BTreeMap::new();
        channels.insert(CANARY.to_owned(), Configured { limit: None, channel: Channel::Canary });
        if settings.log.enabled {
            channels.insert("log".to_owned(), Configured { limit: None, channel: Channel::Log });
        }
        let mut add = |name: &str, limit, channel: Result<Channel, String>| {
            let channel = channel.map_err(|reason| SetupError { channel: name.to_owned(), reason })?;
            channels.insert(name.to_owned(), Configured { limit: Some(limit), channel });
            Ok(())
        };
        let said = |error: reqwest::Error| error.to_string();
        for one in &settings.email {
            add(&one.name, one.limit, Email::new(one).map(|email| Channel::Email(Box::new(email))))?;
        }
        for one in &settings.slack {
            add(&one.name, one.limit, Slack::new(one).map(Channel::Slack).map_err(said))?;
        }
        for one in &settings.webhooks {
            add(&one.name, one.limit, Webhook::new(one).map(Channel::Webhook).map_err(said))?;
        }
        for one in &settings.pagerduty {
            add(&one.name, one.limit, Pagerduty::new(one).map(Channel::Pagerduty).map_err(said))?;
        }
        for one in &settings.teams {
            add(&one.name, one.limit, Teams::new(one).map(Channel::Teams).map_err(said))?;
        }
        Ok(Self { channels })
    }

    /// Whether a group is an incident there, which is open until its end is told.
    pub fn keeps_incidents(&self, channel: &str) -> bool {
        matches!(self.channels.get(channel), Some(Configured { channel: Channel::Pagerduty(_), .. }))
    }

    /// How many messages a channel takes in which time; `None`: any number, or it is not there.
    pub fn limit(&self, channel: &str) -> Option<Limit> {
        self.channels.get(channel)?.limit
    }

    /// Delivers a message. When this returns `Ok`, the receiver has it. Bounded in time by the channel's timeout.
    pub async fn send(
        &self,
        channel: &str,
        message: &Message,
        now: DateTime<Utc>,
    ) -> Result<Receipt, SendError> {
        let Some(configured) = self.channels.get(channel) else {
            return Err(SendError::NoSuchChannel(channel.to_owned()));
        };
        match &configured.channel {
            Channel::Canary => Ok(Receipt::default()),
            Channel::Log => {
                log::write(message);
                Ok(Receipt::default())
            }
            Channel::Email(email) => email.send(message).await,
            Channel::Slack(slack) => slack.send(message).await.map(Receipt::named),
            Channel::Webhook(webhook) => webhook.send(message, now).await.map(|()| Receipt::default()),
            Channel::Pagerduty(pagerduty) => pagerduty.send(message).await.map(Receipt::named),
            Channel::Teams(teams) => teams.send(message).await.map(|()| Receipt::default()),
        }
    }

    /// Sends a document to people by mail, such as a report.
    ///
    /// # Errors
    /// When the channel is none of mail, or the mail does not arrive.
    pub async fn send_document(&self, channel: &str, document: &Document<'_>) -> Result<(), SendError> {
        match self.channels.get(channel).map(|configured| &configured.channel) {
            Some(Channel::Email(email)) => email.send_document(document).await,
            Some(_) => Err(SendError::permanent(format!("channel `{channel}` is no mail"))),
            None => Err(SendError::NoSuchChannel(channel.to_owned())),
        }
    }
}

/// A mail that is no alert.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The same at each attempt.
    pub id: uuid::Uuid,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// To whom; empty: to those of the channel.
    pub to: &'a [String],
    /// One line.
    pub subject: &'a str,
    /// For programs that show no HTML.
    pub text: &'a str,
    /// A whole page.
    pub html: &'a str,
}
