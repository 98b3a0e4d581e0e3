//! Rules: a figure, a window, two thresholds. What a user writes ([`RuleSettings`]) becomes a [`Rule`] that is known to
//! make sense.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use dogwatch_runtime::duration;
use serde::{Deserialize, Serialize};

use crate::burn_rate::BurnRate;
use crate::canary::CANARY;
use crate::matcher::Labels;
use crate::metric::{Aggregate, Dimension, Metric};
use crate::severity::Severity;

/// How long it may be seen before an absence is noticed.
const SEEN_WITHIN: TimeDelta = TimeDelta::hours(24);
/// The longest window of a threshold.
const MAX_WINDOW: TimeDelta = TimeDelta::days(7);

/// A `[[rules]]` entry of dogwatch.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    /// Its name: the `alert_type` of its alerts.
    pub name: String,
    /// The figure.
    pub metric: Metric,
    /// How many values become one.
    pub aggregate: Option<Aggregate>,
    /// Raise when something that had data within 24 hours has none in the window.
    #[serde(default)]
    pub absent: bool,
    /// Over which time.
    #[serde(default = "five_minutes", deserialize_with = "duration::time_delta::required")]
    pub window: TimeDelta,
    /// One alert for each of these.
    pub by: Option<Vec<Dimension>>,
    /// Only this tenant.
    pub tenant: Option<String>,
    /// Only this service.
    pub service: Option<String>,
    /// Only this endpoint: method and route.
    pub endpoint: Option<String>,
    /// Only this host.
    pub host: Option<String>,
    /// Only this queue.
    pub queue: Option<String>,
    /// Above or below.
    #[serde(default)]
    pub operator: Operator,
    /// Beyond this it is raised.
    pub raise: Option<f64>,
    /// Up to this it is cleared; default: `raise`.
    pub clear: Option<f64>,
    /// How long it has to hold before it is raised.
    #[serde(default, rename = "for", deserialize_with = "duration::time_delta::required")]
    pub hold: TimeDelta,
    /// How long it has to be well before it is resolved.
    #[serde(default, deserialize_with = "duration::time_delta::required")]
    pub clear_for: TimeDelta,
    /// How bad it is.
    #[serde(default = "medium")]
    pub severity: Severity,
    /// With fewer requests, calls or samples in the window it says nothing.
    pub min_count: Option<i64>,
    /// For routes and people.
    #[serde(default)]
    pub labels: Labels,
    /// False: as if it were not there.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn five_minutes() -> TimeDelta {
    TimeDelta::minutes(5)
}
fn medium() -> Severity {
    Severity::Medium
}
fn yes() -> bool {
    true
}

/// Which side of the threshold is bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// Above it.
    #[default]
    #[serde(rename = ">")]
    Above,
    /// Below it.
    #[serde(rename = "<")]
    Below,
}

impl Operator {
    fn is_beyond(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::Below => value < threshold,
        }
    }
}

/// What one evaluation comes to. Only `Ok` can clear an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All is well.
    Ok,
    /// Too little is known to say.
    NoData,
    /// It could not be found out.
    Error,
    /// It is not well.
    Breach,
}

impl Outcome {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoData => "no_data",
            Self::Error => "error",
            Self::Breach => "breach",
        }
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [Self::Ok, Self::NoData, Self::Error, Self::Breach];
        let found = all.into_iter().find(|outcome| outcome.as_str() == word);
        found.ok_or_else(|| format!("`{word}` is no outcome"))
    }
}

/// What a rule is about: `{service: shop}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope(BTreeMap<Dimension, String>);

impl Scope {
    /// Of its parts.
    pub fn of(parts: impl IntoIterator<Item = (Dimension, String)>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// One of its parts.
    pub fn get(&self, dimension: Dimension) -> Option<&str> {
        self.0.get(&dimension).map(String::as_str)
    }

    /// Its parts.
    pub fn iter(&self) -> impl Iterator<Item = (Dimension, &str)> {
        self.0.iter().map(|(dimension, value)| (*dimension, value.as_str()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.values().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

/// A figure as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Of what.
    pub scope: Scope,
    /// The figure; absent when there is none.
    pub value: Option<f64>,
    /// Requests, calls or samples that it comes from.
    pub count: i64,
    /// What else people should know, such as the error of a check.
    pub note: Option<String>,
}

/// When something is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A figure is beyond a threshold.
    Threshold {
        /// The figure.
        metric: Metric,
        /// How many values become one.
        aggregate: Option<Aggregate>,
        /// Which side is bad.
        operator: Operator,
        /// Beyond this it is raised.
        raise: f64,
        /// Up to this it is cleared.
        clear: f64,
    },
    /// What had data lately has none.
    Absence {
        /// The figure.
        metric: Metric,
        /// How long ago it may have been seen.
        seen_within: TimeDelta,
    },
    /// The error budget of an objective goes too fast. The figure is how many times as fast as it may.
    BurnRate(BurnRate),
}

/// A rule that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name: the `alert_type` of its alerts.
    pub name: String,
    /// When something is wrong.
    pub condition: Condition,
    /// Over which time.
    pub window: TimeDelta,
    /// One alert for each of these.
    pub by: Vec<Dimension>,
    /// Only what is this.
    pub only: Scope,
    /// How long it has to hold before it is raised.
    pub hold: TimeDelta,
    /// How long it has to be well before it is resolved.
    pub clear_for: TimeDelta,
    /// How bad it is.
    pub severity: Severity,
    /// With fewer requests, calls or samples it says nothing.
    pub min_count: i64,
    /// For routes and people.
    pub labels: Labels,
}

impl RuleSettings {
    /// The rule, if it makes sense; `None` when it is not enabled.
    ///
    /// # Errors
    /// The key that is wrong, and what would be right.
    pub fn rule(&self) -> Result<Option<Rule>, (&'static str, String)> {
        check_name(&self.name)?;
        if (self.metric == Metric::Canary) != (self.name == CANARY) {
            return Err((
                "metric",
                format!("`{CANARY}` is the metric of the rule `{CANARY}`, and of no other"),
            ));
        }
        let source = self.metric.source();
        let by = self.by.clone().unwrap_or_else(|| source.default_dimensions().to_vec());
        let known = source.dimensions();
        let names = |list: &[Dimension]| list.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(unknown) = by.iter().find(|one| !known.contains(one)) {
            let reason = format!(
                "`{}` has no {}; write some of {}",
                self.metric.as_str(),
                unknown.as_str(),
                names(known)
            );
            return Err(("by", reason));
        }
        if !source.adds_up() && known.iter().any(|one| !by.contains(one)) {
            return Err((
                "by",
                format!("`{}` is a figure for each {}; leave `by` out", self.metric.as_str(), names(known)),
            ));
        }
        let only = [
            (Dimension::Tenant, "tenant", &self.tenant),
            (Dimension::Service, "service", &self.service),
            (Dimension::Endpoint, "endpoint", &self.endpoint),
            (Dimension::Host, "host", &self.host),
            (Dimension::Queue, "queue", &self.queue),
        ];
        if let Some((_, key, _)) = only.iter().find(|(one, _, value)| value.is_some() && !known.contains(one))
        {
            return Err((key, format!("`{}` has no {key}; it has {}", self.metric.as_str(), names(known))));
        }
        if self.window < TimeDelta::seconds(10) || self.window > MAX_WINDOW {
            return Err((
                "window",
                format!("`{}` is not between 10s and 7d", duration::format_rounded(self.window)),
            ));
        }
        let rule = Rule {
            name: self.name.clone(),
            condition: self.condition()?,
            window: self.window,
            by,
            only: Scope::of(only.into_iter().filter_map(|(one, _, value)| Some((one, value.clone()?)))),
            hold: self.hold,
            clear_for: self.clear_for,
            severity: self.severity,
            min_count: self.min_count.unwrap_or(1),
            labels: self.labels.clone(),
        };
        Ok(self.enabled.then_some(rule))
    }

    fn condition(&self) -> Result<Condition, (&'static str, String)> {
        let aggregates = self.metric.aggregates();
        if let Some(aggregate) = self.aggregate
            && !aggregates.contains(&aggregate)
        {
            let known: Vec<_> = aggregates.iter().map(|one| one.as_str()).collect();
            let right = if known.is_empty() {
                "leave it out".to_owned()
            } else {
                format!("write {}", known.join(", "))
            };
            return Err((
                "aggregate",
                format!("`{}` has no {}; {right}", self.metric.as_str(), aggregate.as_str()),
            ));
        }
        if self.absent {
            if self.raise.is_some() || self.clear.is_some() {
                return Err((
                    "raise",
                    "an absence has no threshold; leave `raise` and `clear` out".to_owned(),
                ));
            }
            return Ok(Condition::Absence { metric: self.metric, seen_within: SEEN_WITHIN });
        }
        let raise = self.raise.filter(|raise| raise.is_finite());
        let raise = raise.ok_or_else(|| {
            ("raise", "is missing; write the threshold beyond which it is raised".to_owned())
        })?;
        let clear = self.clear.unwrap_or(raise);
        if self.operator.is_beyond(clear, raise) || !clear.is_finite() {
            let reason = format!("`{clear}` is beyond `raise` ({raise}): it could never be cleared");
            return Err(("clear", reason));
        }
        let aggregate = self.aggregate.or_else(|| aggregates.first().copied());
        Ok(Condition::Threshold { metric: self.metric, aggregate, operator: self.operator, raise, clear })
    }
}

/// A name is a word in tables, labels and addresses.
pub(crate) fn check_name(name: &str) -> Result<(), (&'static str, String)> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(is_word) {
        return Err(("name", format!("`{name}` is no name; write letters, digits, `_`, `-` and `.`")));
    }
    Ok(())
}

impl Rule {
    /// What a figure comes to; `is_open` tells whether its alert is open, or about to be.
    pub fn judge(&self, reading: &Reading, is_open: bool) -> Outcome {
        let beyond = |operator: Operator, value: f64, raise: f64, clear: f64| {
            let limit = if is_open { clear } else { raise };
            if operator.is_beyond(value, limit) { Outcome::Breach } else { Outcome::Ok }
        };
        match (&self.condition, reading.value) {
            (Condition::Absence { .. }, value) => {
                if value.is_none() || reading.count < self.min_count {
                    Outcome::Breach
                } else {
                    Outcome::Ok
                }
            }
            (_, None) => Outcome::NoData,
            (_, Some(value)) if reading.count < self.min_count || !value.is_finite() => Outcome::NoData,
            (Condition::Threshold { operator, raise, clear, .. }, Some(value)) => {
                beyond(*operator, value, *raise, *clear)
            }
            (Condition::BurnRate(burn), Some(value)) => {
                beyond(Operator::Above, value, burn.factor(), burn.factor())
            }
        }
    }

    /// Which of two values is farther on the bad side.
    pub fn is_worse(&self, value: f64, than: f64) -> bool {
        match &self.condition {
            Condition::Threshold { operator, .. } => operator.is_beyond(value, than),
            Condition::Absence { .. } | Condition::BurnRate(_) => value > than,
        }
    }

    /// Which condition: the same one has the same fingerprint, whoever finds it.
    pub fn fingerprint(&self, scope: &Scope) -> String {
        let parts = std::iter::once(self.name.as_str()).chain(scope.iter().map(|(_, value)| value));
        parts.collect::<Vec<_>>().join(":")
    }

    /// What is known of an alert of this rule.
    pub fn labels(&self, scope: &Scope) -> Labels {
        let mut labels = self.labels.clone();
        labels
            .extend(scope.iter().map(|(dimension, value)| (dimension.as_str().to_owned(), value.to_owned())));
        labels.insert("alert_type".to_owned(), self.name.clone());
        labels.insert("severity".to_owned(), self.severity.as_str().to_owned());
        labels
    }

    /// The figure it is about; of an objective its error rate.
    pub fn metric(&self) -> Metric {
        match &self.condition {
            Condition::Threshold { metric, .. } | Condition::Absence { metric, .. } => *metric,
            Condition::BurnRate(_) => Metric::ErrorRate,
        }
    }

    /// What a value is compared with; absent where none is.
    pub fn threshold(&self) -> Option<f64> {
        match &self.condition {
            Condition::Threshold { raise, .. } => Some(*raise),
            Condition::BurnRate(burn) => Some(burn.factor()),
            Condition::Absence { .. } => None,
        }
    }

    /// The unit of value and threshold.
    pub fn unit(&self) -> &'static str {
        match &self.condition {
            Condition::BurnRate(_) => "x",
            _ => self.metric().unit(),
        }
    }

    /// One line for people.
    pub fn title(&self, reading: &Reading) -> String {
        let subject = subject(&reading.scope);
        let value = reading.value.unwrap_or_default();
        let figure = figure(value, self.unit());
        match &self.condition {
            Condition::Absence { metric, .. } => {
                format!("{subject}: no {} for {}", metric.words(), duration::format_rounded(self.window))
            }
            Condition::BurnRate(burn) => {
                format!("{subject}: {} goes {figure} as fast as it may", burn.name())
            }
            Condition::Threshold { metric, aggregate, .. } => match metric {
                Metric::ErrorRate => format!("{subject}: {value:.1} % of requests fail"),
                Metric::CpuPercent | Metric::MemoryPercent => {
                    format!("{subject}: {} at {value:.0} %", metric.words())
                }
                Metric::DiskPercent => format!("{subject}: {value:.0} % full"),
                Metric::ServiceHealth => {
                    format!("{subject} is {}", if value >= 2.0 { "unhealthy" } else { "degraded" })
                }
                Metric::QueueReady | Metric::QueueDead => format!("{subject}: {value:.0} {}", metric.words()),
                Metric::TrendChangePercent => format!("{subject}: {figure} {}", metric.words()),
                Metric::Canary => "The canary sings: alerts get through".to_owned(),
                _ => {
                    let aggregate = aggregate.map(|one| format!("{} ", one.as_str())).unwrap_or_default();
                    format!("{subject}: {aggregate}{} {figure}", metric.words())
                }
            },
        }
    }

    /// What was seen, with figures.
    pub fn description(&self, reading: &Reading) -> String {
        let over = duration::format_rounded(self.window);
        let note = reading.note.as_deref().map(|note| format!(". {note}")).unwrap_or_default();
        match &self.condition {
            Condition::Absence { .. } => {
                format!(
                    "It had data within the last {}, and none in the last {over}{note}",
                    duration::format_rounded(SEEN_WITHIN)
                )
            }
            Condition::BurnRate(burn) => format!("{}{note}", burn.words(reading.value.unwrap_or_default())),
            Condition::Threshold { metric: Metric::Canary, .. } => {
                format!("Raised and ended every {over} to try the way. Nothing is wrong")
            }
            Condition::Threshold { metric, raise, .. } => {
                let count = match metric {
                    Metric::ErrorRate | Metric::ResponseTimeMs => {
                        format!("{} requests over {over}", reading.count)
                    }
                    Metric::QueryTimeMs => format!("{} calls over {over}", reading.count),
                    Metric::CpuPercent | Metric::MemoryPercent => {
                        format!("{} samples over {over}", reading.count)
                    }
                    _ => "now".to_owned(),
                };
                format!("{count}; the threshold is {}{note}", figure(*raise, self.unit()))
            }
        }
    }
}

/// A value with its unit, with as many digits as say something.
fn figure(value: f64, unit: &str) -> String {
    let digits = usize::from(value.abs() < 100.0 && value.fract() != 0.0);
    match unit {
        "" => format!("{value:.digits$}"),
        "x" => format!("{value:.1} times"),
        "/min" => format!("{value:.digits$}/min"),
        unit => format!("{value:.digits$} {unit}"),
    }
}

/// What a scope is called: `shop POST /pay`, `web-1 disk /`.
fn subject(scope: &Scope) -> String {
    let word = |(dimension, value): (Dimension, &str)| match dimension {
        Dimension::Mount => format!("disk {value}"),
        Dimension::Queue => format!("queue {value}"),
        Dimension::Query => format!("query {value}"),
        _ => value.to_owned(),
    };
    let words: Vec<String> = scope.iter().map(word).collect();
    if words.is_empty() { "all".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<Option<Rule>, (&'static str, String)> {
        toml::from_str::<RuleSettings>(text).unwrap().rule()
    }

    fn reading(value: Option<f64>, count: i64) -> Reading {
        let scope = Scope::of([(Dimension::Service, "shop".to_owned())]);
        Reading { scope, value, count, note: None }
    }

    #[test]
    fn a_rule_is_raised_beyond_one_threshold_and_cleared_up_to_another() {
        let rule =
            rule("name = 'a'\nmetric = 'error_rate'\nraise = 5\nclear = 2\nmin_count = 10").unwrap().unwrap();
        for (value, count, is_open, expected) in [
            (Some(5.0), 10, false, Outcome::Ok),
            (Some(5.1), 10, false, Outcome::Breach),
            (Some(2.1), 10, true, Outcome::Breach),
            (Some(2.0), 10, true, Outcome::Ok),
            (Some(90.0), 9, false, Outcome::NoData),
            (Some(f64::NAN), 10, false, Outcome::NoData),
            (None, 0, true, Outcome::NoData),
        ] {
            assert_eq!(rule.judge(&reading(value, count), is_open), expected, "{value:?} {count} {is_open}");
        }
        assert_eq!(rule.fingerprint(&reading(None, 0).scope), "a:shop");
        assert_eq!(rule.title(&reading(Some(50.0), 20)), "shop: 50.0 % of requests fail");
        assert_eq!(rule.description(&reading(Some(50.0), 20)), "20 requests over 5m; the threshold is 5 %");
    }

    #[test]
    fn a_rule_may_look_below_and_at_what_is_absent() {
        let below = rule("name = 'a'\nmetric = 'request_rate'\noperator = '<'\nraise = 10\nclear = 20")
            .unwrap()
            .unwrap();
        assert_eq!(below.judge(&reading(Some(9.0), 5), false), Outcome::Breach);
        assert_eq!(below.judge(&reading(Some(19.0), 5), true), Outcome::Breach);
        assert_eq!(below.judge(&reading(Some(20.0), 5), true), Outcome::Ok);
        let absent = rule("name = 'a'\nmetric = 'request_rate'\nabsent = true").unwrap().unwrap();
        assert_eq!(absent.judge(&reading(None, 0), false), Outcome::Breach);
        assert_eq!(absent.judge(&reading(Some(1.0), 1), true), Outcome::Ok);
        assert_eq!(absent.title(&reading(None, 0)), "shop: no requests for 5m");
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_would_be_right() {
        for (text, key, reason) in [
            ("name = 'a b'\nmetric = 'error_rate'", "name", "is no name"),
            ("name = 'a'\nmetric = 'error_rate'", "raise", "is missing"),
            ("name = 'a'\nmetric = 'error_rate'\nraise = 5\nclear = 6", "clear", "could never be cleared"),
            (
                "name = 'a'\nmetric = 'error_rate'\nraise = 5\nby = ['host']",
                "by",
                "write some of tenant, service, endpoint",
            ),
            ("name = 'a'\nmetric = 'disk_percent'\nraise = 5\nby = ['host']", "by", "for each host, mount"),
            ("name = 'a'\nmetric = 'cpu_percent'\nraise = 5\nservice = 'x'", "service", "it has host"),
            ("name = 'a'\nmetric = 'error_rate'\nraise = 5\naggregate = 'p95'", "aggregate", "leave it out"),
            (
                "name = 'a'\nmetric = 'cpu_percent'\nraise = 5\naggregate = 'p95'",
                "aggregate",
                "write mean, max",
            ),
            (
                "name = 'a'\nmetric = 'error_rate'\nraise = 5\nwindow = '1s'",
                "window",
                "not between 10s and 7d",
            ),
            ("name = 'a'\nmetric = 'error_rate'\nraise = 5\nabsent = true", "raise", "leave `raise`"),
        ] {
            let (wrong, told) = rule(text).unwrap_err();
            assert!(wrong == key && told.contains(reason), "{text}: {wrong}: {told}");
        }
        assert_eq!(rule("name = 'a'\nmetric = 'error_rate'\nraise = 5\nenabled = false"), Ok(None));
    }
}
