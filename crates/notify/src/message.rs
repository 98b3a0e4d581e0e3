//! What a channel delivers: alerts at moments of their lives, in words that belong to no channel.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dogwatch_alerting::Severity;
use dogwatch_chart::LineChart;
use serde::Serialize;
use url::Url;
use uuid::Uuid;

/// Alerts that a message names; of others it tells how many there are.
pub const MAX_NAMED: usize = 20;

/// What happened to the alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Its condition holds.
    Raised,
    /// Its condition has come back.
    Reopened,
    /// It comes and goes so often that it is held open.
    Flapping,
    /// It is still active.
    Reminded,
    /// Nobody has acknowledged it.
    Escalated,
    /// It is over.
    Resolved,
}

impl Event {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Reopened => "raised again",
            Self::Flapping => "comes and goes",
            Self::Reminded => "still active",
            Self::Escalated => "not acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// One message. Its JSON form is the body of a webhook.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// The same at each attempt to deliver it, so that a receiver can tell a repetition.
    pub id: Uuid,
    /// When it was put together.
    pub at: DateTime<Utc>,
    /// What its alerts have in common, the same for later messages about it. A digest of everything that waited is a group
    /// of its own.
    pub group: String,
    /// One line.
    pub title: String,
    /// `raised` as long as something of the group is open, else `resolved`.
    pub status: &'static str,
    /// How many alerts it tells of.
    pub total: usize,
    /// Of them, how many are open by what it tells.
    pub open: usize,
    /// Of them, how many are over.
    pub over: usize,
    /// The worst of them.
    pub severity: Severity,
    /// The worst first, at most twenty.
    pub alerts: Vec<Told>,
    /// Alerts that it does not name.
    pub omitted: usize,
    /// Why it comes late, where it does.
    pub late: Option<String>,
    /// The first message about the group, and what its receiver calls it.
    #[serde(skip)]
    pub thread: Option<(Uuid, Option<String>)>,
    /// It tells of more than ends.
    #[serde(skip)]
    pub has_beginnings: bool,
    /// To whom alone it goes, where the others have it.
    #[serde(skip)]
    pub recipients: Option<Vec<String>>,
    /// The figure around the event.
    #[serde(skip)]
    pub chart: Option<Chart>,
}

/// A figure around an event.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub caption: String,
    /// The picture.
    pub line: LineChart,
}

/// An alert in a message.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// What happened last.
    pub event: Event,
    /// When.
    pub at: DateTime<Utc>,
    /// When it was raised, where the message tells that too.
    pub raised_at: Option<DateTime<Utc>>,
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
    /// The tenant it is about.
    pub tenant: Option<String>,
    /// The service it is about.
    pub service: Option<String>,
    /// The endpoint it is about.
    pub endpoint: Option<String>,
    /// The host it is about.
    pub host: Option<String>,
    /// What else is known of it.
    pub labels: BTreeMap<String, String>,
    /// What was measured.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The unit of both.
    pub unit: Option<String>,
    /// When the condition was first seen.
    pub first_seen_at: DateTime<Utc>,
}

impl Told {
    /// The address of its runbook, where it has one that people may open.
    pub fn runbook(&self) -> Option<String> {
        let url = Url::parse(self.labels.get("runbook")?).ok()?;
        let is_page = matches!(url.scheme(), "https" | "http");
        // What ends an address in one of the channels is written in another way.
        is_page.then(|| url.as_str().replace('|', "%7C").replace('<', "%3C").replace('>', "%3E"))
    }

    /// For people, when: `10:02 to 10:19 UTC`, or `since 10:02 UTC`.
    pub fn when(&self) -> String {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M").to_string();
        match (self.event, self.raised_at) {
            (Event::Resolved, Some(raised)) if raised.date_naive() == self.at.date_naive() => {
                format!("{} to {} UTC", time(raised), self.at.format("%H:%M"))
            }
            (Event::Resolved, Some(raised)) => format!("{} to {} UTC", time(raised), time(self.at)),
            (Event::Resolved, None) => format!("over since {} UTC", time(self.at)),
            _ => format!("since {} UTC", time(self.raised_at.unwrap_or(self.first_seen_at))),
        }
    }
}

impl Message {
    /// One line: of one alert its own, of many how many there are.
    pub fn headline(alerts: &[Told], open: usize, over: usize) -> String {
        match alerts {
            [only] if open + over == 1 => match only.event {
                Event::Resolved => format!("Resolved: {}", only.title),
                Event::Raised => only.title.clone(),
                event => format!("{} ({})", only.title, event.words()),
            },
            _ => {
                let parts = [(open, "active"), (over, "resolved")];
                let parts: Vec<String> = parts
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, word)| format!("{count} {word}"))
                    .collect();
                let first = alerts.first().map(|told| format!(": {}, …", told.title)).unwrap_or_default();
                format!("{} alerts{first}", parts.join(", "))
            }
        }
    }

    /// Of what is not named, one line; empty when everything is.
    pub fn more(&self) -> String {
        match self.omitted {
            0 => String::new(),
            1 => "and one more alert".to_owned(),
            n => format!("and {n} more alerts"),
        }
    }
}
