//! Who is not told, for now: silences, maintenance, quiet hours, and alerts that follow from another.
//!
//! What is muted is not lost: it waits in the outbox, and is told when the mute ends and the alert is still open.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::matcher::{Labels, Matcher};
use crate::severity::Severity;
use crate::timetable::Timetable;

/// The label that says whose an alert is.
const TENANT: &str = "tenant";

/// A silence that a person has made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Silence {
    /// Which alerts.
    pub matcher: Matcher,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// To when.
    pub ends_at: DateTime<Utc>,
    /// Who, and why.
    pub comment: String,
}

/// A `[[maintenance]]` entry of dogwatch.toml: once, from one time to another, or on hours of days.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceSettings {
    /// For people.
    pub name: String,
    /// Which alerts.
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    /// Once, from here …
    pub starts_at: Option<DateTime<Utc>>,
    /// … to here.
    pub ends_at: Option<DateTime<Utc>>,
    /// Again and again.
    pub hours: Option<Timetable>,
}

/// A `[[quiet_hours]]` entry of dogwatch.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHoursSettings {
    /// On which channels.
    pub channels: Vec<String>,
    /// When.
    pub hours: Timetable,
    /// What is less than this waits.
    #[serde(default = "critical")]
    pub below: Severity,
}

fn critical() -> Severity {
    Severity::Critical
}

/// An `[[inhibit]]` entry of dogwatch.toml: while an alert is open that `source` matches, those that `target` matches are
/// not told, where both have the same `equal` labels.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InhibitSettings {
    /// What is the cause.
    pub source: Matcher,
    /// What follows from it.
    pub target: Matcher,
    /// Labels that both have to have in common.
    #[serde(default)]
    pub equal: Vec<String>,
}

/// Everything that mutes, at one time.
#[derive(Clone, Debug, Default)]
pub struct Mutes {
    silences: Vec<Silence>,
    maintenance: Vec<MaintenanceSettings>,
    quiet_hours: Vec<QuietHoursSettings>,
    inhibitions: Vec<InhibitSettings>,
    /// Open alerts that are the cause of others. Of each cause two are kept, so that one of them is not the alert itself.
    causes: HashMap<Cause, Vec<Labels>>,
}

/// What an open alert has in common with those that follow from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cause {
    /// Which of the inhibitions.
    inhibition: usize,
    /// Whose it is; absent: everybody's.
    tenant: Option<String>,
    /// Values of the labels that have to be equal.
    values: Vec<String>,
}

/// Why an alert is not told.
#[derive(Clone, Debug, PartialEq)]
pub struct Muted {
    /// For people.
    pub reason: String,
    /// When that ends; absent: nobody knows.
    pub until: Option<DateTime<Utc>>,
}

impl MaintenanceSettings {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The key that is wrong, and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        match (self.starts_at, self.ends_at, &self.hours) {
            (Some(start), Some(end), None) if start < end => Ok(()),
            (Some(_), Some(_), None) => Err(("ends_at", "is not after `starts_at`".to_owned())),
            (None, None, Some(_)) => Ok(()),
            _ => Err(("starts_at", "write `starts_at` and `ends_at`, or `hours`".to_owned())),
        }
    }

    fn ends(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let once = self.starts_at.zip(self.ends_at).filter(|(start, end)| *start <= now && now < *end);
        once.map(|(_, end)| end).or_else(|| self.hours.as_ref()?.ends_at(now))
    }
}

impl InhibitSettings {
    /// The values of the labels that have to be equal; `None` where one is absent.
    fn values(&self, labels: &Labels) -> Option<Vec<String>> {
        self.equal.iter().map(|label| labels.get(label).cloned()).collect()
    }
}

impl Mutes {
    /// What mutes, as people and the settings say.
    pub fn new(
        silences: Vec<Silence>,
        maintenance: Vec<MaintenanceSettings>,
        quiet_hours: Vec<QuietHoursSettings>,
        inhibitions: Vec<InhibitSettings>,
    ) -> Self {
        Self { silences, maintenance, quiet_hours, inhibitions, causes: HashMap::new() }
    }

    /// An alert that is open: others may follow from it.
    pub fn note_open(&mut self, labels: &Labels) {
        for (inhibition, rule) in self.inhibitions.iter().enumerate() {
            let Some(values) = rule.values(labels).filter(|_| rule.source.matches(labels)) else { continue };
            let cause = Cause { inhibition, tenant: labels.get(TENANT).cloned(), values };
            let known = self.causes.entry(cause).or_default();
            if known.len() < 2 && !known.contains(labels) {
                known.push(labels.clone());
            }
        }
    }

    /// An open alert that these labels follow from.
    fn cause(&self, labels: &Labels) -> Option<&Labels> {
        self.inhibitions.iter().enumerate().find_map(|(inhibition, rule)| {
            let values = rule.values(labels).filter(|_| rule.target.matches(labels))?;
            // What a tenant reports mutes nothing of another, and nothing of everybody's.
            let tenants = [None, labels.get(TENANT).cloned()];
            let is_cause = |source: &&Labels| *source != labels;
            tenants.into_iter().find_map(|tenant| {
                self.causes.get(&Cause { inhibition, tenant, values: values.clone() })?.iter().find(is_cause)
            })
        })
    }

    /// Why this alert is not to be told on this channel now; `None` when it is to be told.
    pub fn of(
        &self,
        labels: &Labels,
        severity: Severity,
        channel: &str,
        now: DateTime<Utc>,
    ) -> Option<Muted> {
        let silence = self.silences.iter().find(|silence| {
            silence.starts_at <= now && now < silence.ends_at && silence.matcher.matches(labels)
        });
        if let Some(silence) = silence {
            return Some(Muted {
                reason: format!("silenced: {}", silence.comment),
                until: Some(silence.ends_at),
            });
        }
        let maintenance = self.maintenance.iter().filter(|maintenance| maintenance.matcher.matches(labels));
        let maintenance = maintenance.filter_map(|maintenance| Some((maintenance, maintenance.ends(now)?)));
        if let Some((maintenance, end)) = maintenance.max_by_key(|(_, end)| *end) {
            return Some(Muted { reason: format!("maintenance {}", maintenance.name), until: Some(end) });
        }
        if let Some(cause) = self.cause(labels) {
            let name = |label: &str| cause.get(label).map(String::as_str).unwrap_or_default();
            let reason = format!("follows from {} {}", name("alert_type"), name("service"));
            return Some(Muted { reason: reason.trim_end().to_owned(), until: None });
        }
        self.quiet(severity, channel, now)
    }

    /// Why nothing of this severity is to be told on this channel now. What has ended is muted by nothing else: who was
    /// told of the beginning is told of the end.
    pub fn quiet(&self, severity: Severity, channel: &str, now: DateTime<Utc>) -> Option<Muted> {
        let quiet = self.quiet_hours.iter().filter(|quiet| severity < quiet.below);
        let quiet = quiet.filter(|quiet| quiet.channels.iter().any(|name| name == channel));
        let end = quiet.filter_map(|quiet| quiet.hours.ends_at(now)).max()?;
        Some(Muted { reason: "quiet hours".to_owned(), until: Some(end) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        text.split(' ')
            .filter_map(|pair| pair.split_once('='))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect()
    }

    fn why(mutes: &Mutes, text: &str, now: &str) -> Option<Muted> {
        mutes.of(&labels(text), Severity::High, "mail", now.parse().unwrap())
    }

    #[test]
    fn a_silence_holds_from_its_start_to_its_end() {
        let silence = Silence {
            matcher: Matcher::of([("service".to_owned(), "shop".to_owned())]),
            starts_at: "2026-11-27T10:00:00Z".parse().unwrap(),
            ends_at: "2026-11-27T11:00:00Z".parse().unwrap(),
            comment: "bob: deploy".to_owned(),
        };
        let mutes = Mutes { silences: vec![silence.clone()], ..Mutes::default() };
        let why_not = why(&mutes, "service=shop", "2026-11-27T10:00:00Z").unwrap();
        assert_eq!(
            why_not,
            Muted { reason: "silenced: bob: deploy".to_owned(), until: Some(silence.ends_at) }
        );
        assert_eq!(why(&mutes, "service=shop", "2026-11-27T11:00:00Z"), None);
        assert_eq!(why(&mutes, "service=other", "2026-11-27T10:00:00Z"), None);
    }

    #[test]
    fn what_follows_from_an_open_alert_is_muted_and_nothing_mutes_itself() {
        let rule = "source = { alert_type = 'service_health' }\ntarget = { alert_type = 'response_time' }\nequal = ['service']";
        let mut mutes = Mutes { inhibitions: vec![toml::from_str(rule).unwrap()], ..Mutes::default() };
        mutes.note_open(&labels("alert_type=service_health service=shop"));
        let now = "2026-11-27T10:00:00Z";
        let why_not = why(&mutes, "alert_type=response_time service=shop", now).unwrap();
        assert_eq!(why_not, Muted { reason: "follows from service_health shop".to_owned(), until: None });
        assert_eq!(why(&mutes, "alert_type=response_time service=pay", now), None);
        assert_eq!(why(&mutes, "alert_type=response_time", now), None, "a label that is absent is not equal");
        assert_eq!(why(&mutes, "alert_type=service_health service=shop", now), None);
    }

    #[test]
    fn an_alert_of_a_tenant_mutes_that_tenant_alone() {
        let rule = "source = { alert_type = 'outage' }\ntarget = {}\nequal = ['service']";
        let mut mutes = Mutes { inhibitions: vec![toml::from_str(rule).unwrap()], ..Mutes::default() };
        mutes.note_open(&labels("alert_type=outage service=shop tenant=acme"));
        let now = "2026-11-27T10:00:00Z";
        assert!(why(&mutes, "alert_type=cpu service=shop tenant=acme", now).is_some());
        assert_eq!(why(&mutes, "alert_type=cpu service=shop tenant=other", now), None);
        assert_eq!(why(&mutes, "alert_type=cpu service=shop", now), None);
        mutes.note_open(&labels("alert_type=outage service=shop"));
        assert!(why(&mutes, "alert_type=cpu service=shop tenant=other", now).is_some());
        assert!(why(&mutes, "alert_type=outage service=shop tenant=acme", now).is_some(), "of everybody's");
    }

    #[test]
    fn quiet_hours_hold_what_is_not_bad_enough_on_their_channels() {
        let quiet = "channels = ['mail']\nbelow = 'critical'\nhours = { from = '22:00', until = '07:00' }";
        let mutes = Mutes { quiet_hours: vec![toml::from_str(quiet).unwrap()], ..Mutes::default() };
        let now = "2026-11-27T23:00:00Z".parse().unwrap();
        assert!(mutes.quiet(Severity::High, "mail", now).is_some());
        assert!(mutes.quiet(Severity::Critical, "mail", now).is_none());
        assert!(mutes.quiet(Severity::High, "pager", now).is_none());
    }

    #[test]
    fn maintenance_is_once_or_again_and_again() {
        let of = |text: &str| toml::from_str::<MaintenanceSettings>(text).unwrap();
        let once = of("name = 'a'\nstarts_at = '2026-11-27T10:00:00Z'\nends_at = '2026-11-27T11:00:00Z'");
        let nightly =
            of("name = 'b'\nhours = { from = '10:30', until = '12:00' }\nmatch = { service = 'shop' }");
        assert!(once.validate().is_ok() && nightly.validate().is_ok());
        let mutes = Mutes { maintenance: vec![once, nightly], ..Mutes::default() };
        assert_eq!(why(&mutes, "service=x", "2026-11-27T10:45:00Z").unwrap().reason, "maintenance a");
        assert_eq!(
            why(&mutes, "service=shop", "2026-11-27T10:45:00Z").unwrap().reason,
            "maintenance b",
            "the longer one"
        );
        assert_eq!(why(&mutes, "service=x", "2026-11-27T11:00:00Z"), None);
        for (text, key) in [
            ("name = 'a'", "starts_at"),
            ("name = 'a'\nstarts_at = '2026-11-27T10:00:00Z'\nends_at = '2026-11-27T10:00:00Z'", "ends_at"),
        ] {
            assert_eq!(of(text).validate().unwrap_err().0, key);
        }
    }
}
