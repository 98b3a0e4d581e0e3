//! The `[notify]` section of dogwatch.toml.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dogwatch_alerting::{CANARY, Severity};
use serde::Deserialize;

use crate::email::EmailSettings;
use crate::log::LogSettings;
use crate::pagerduty::PagerdutySettings;
use crate::slack::SlackSettings;
use crate::teams::TeamsSettings;
use crate::webhook::WebhookSettings;

/// Where alerts go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The log.
    pub log: LogSettings,
    /// Mail.
    #[serde(default)]
    pub email: Vec<EmailSettings>,
    /// Slack.
    #[serde(default)]
    pub slack: Vec<SlackSettings>,
    /// HTTP receivers.
    #[serde(default)]
    pub webhooks: Vec<WebhookSettings>,
    /// `PagerDuty`.
    #[serde(default)]
    pub pagerduty: Vec<PagerdutySettings>,
    /// Microsoft Teams.
    #[serde(default)]
    pub teams: Vec<TeamsSettings>,
}

pub(crate) fn everything() -> Severity {
    Severity::Low
}

pub(crate) fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// The longest that a receiver may take.
const MAX_TIMEOUT: Duration = Duration::from_mins(1);

/// What all channels have, and what else their settings find wrong.
struct Checked<'a> {
    name: &'a str,
    min_severity: Severity,
    timeout: Duration,
    result: Result<(), (String, String)>,
}

/// Each channel of a kind.
macro_rules! checked {
    ($channels:expr) => {
        $channels.iter().map(|one| Checked {
            name: &one.name,
            min_severity: one.min_severity,
            timeout: one.timeout,
            result: one.validate(),
        })
    };
}

impl Settings {
    /// Checks what the types cannot. The error names the key in this section and what would be right.
    pub fn validate(&self) -> Result<(), (String, String)> {
        let mut names = BTreeSet::from(["log", CANARY]);
        for (key, Checked { name, timeout, result, .. }) in self.channels() {
            if name.is_empty() || !names.insert(name) {
                let reason =
                    format!("`{name}` is empty or the name of another channel; write a name of its own");
                return Err((format!("{key}.name"), reason));
            }
            if timeout.is_zero() || timeout > MAX_TIMEOUT {
                let given = dogwatch_runtime::duration::format(timeout);
                return Err((format!("{key}.timeout"), format!("`{given}` is not between 1ms and 60s")));
            }
            result.map_err(|(field, reason)| (format!("{key}.{field}"), reason))?;
        }
        Ok(())
    }

    /// The channels by name, and from which severity on each wants to hear.
    pub fn min_severities(&self) -> BTreeMap<String, Severity> {
        let log = self.log.enabled.then(|| ("log".to_owned(), self.log.min_severity));
        log.into_iter()
            .chain(self.channels().map(|(_, one)| (one.name.to_owned(), one.min_severity)))
            .collect()
    }

    fn channels(&self) -> impl Iterator<Item = (String, Checked<'_>)> {
        numbered("email", checked!(self.email))
            .chain(numbered("slack", checked!(self.slack)))
            .chain(numbered("webhooks", checked!(self.webhooks)))
            .chain(numbered("pagerduty", checked!(self.pagerduty)))
            .chain(numbered("teams", checked!(self.teams)))
    }
}

fn numbered<'a>(
    kind: &'static str,
    channels: impl Iterator<Item = Checked<'a>>,
) -> impl Iterator<Item = (String, Checked<'a>)> {
    channels.enumerate().map(move |(index, channel)| (format!("{kind}.{index}"), channel))
}
