//! Objectives: an alert when the error budget goes so fast that it matters, over a long window, and still does, over a
//! short one (multi-window, multi-burn-rate; Google, The Site Reliability Workbook, chapter 5, table 5-8).

use chrono::TimeDelta;
use dogwatch_runtime::duration;
use serde::Deserialize;

use crate::matcher::Labels;
use crate::metric::Dimension;
use crate::rule::{Condition, Rule, Scope, check_name};
use crate::severity::Severity;

/// Part of the budget that goes within the long window before it is told, both windows, and how bad it is.
const PAIRS: [(f64, TimeDelta, TimeDelta, Severity); 3] = [
    (0.02, TimeDelta::hours(1), TimeDelta::minutes(5), Severity::Critical),
    (0.05, TimeDelta::hours(6), TimeDelta::minutes(30), Severity::High),
    (0.10, TimeDelta::days(3), TimeDelta::hours(6), Severity::Medium),
];

/// A `[[slos]]` entry of dogwatch.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloSettings {
    /// Its name: the beginning of the `alert_type` of its alerts.
    pub name: String,
    /// Requests that have to succeed, in percent.
    pub slo: f64,
    /// Over which time.
    #[serde(default = "thirty_days", deserialize_with = "duration::time_delta::required")]
    pub window: TimeDelta,
    /// Only this tenant.
    pub tenant: Option<String>,
    /// Only this service.
    pub service: Option<String>,
    /// Only this endpoint: method and route.
    pub endpoint: Option<String>,
    /// With fewer requests in the long window it says nothing.
    #[serde(default = "hundred")]
    pub min_count: i64,
    /// For routes and people.
    #[serde(default)]
    pub labels: Labels,
}

fn thirty_days() -> TimeDelta {
    TimeDelta::days(30)
}
fn hundred() -> i64 {
    100
}

/// A pair of windows over which a budget goes.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnRate {
    slo: f64,
    budget: TimeDelta,
    long: TimeDelta,
    short: TimeDelta,
    factor: f64,
}

impl SloSettings {
    /// Its rules: one for each pair of windows.
    ///
    /// # Errors
    /// The key that is wrong, and what would be right.
    pub fn rules(&self) -> Result<Vec<Rule>, (&'static str, String)> {
        check_name(&self.name)?;
        if !(self.slo > 0.0 && self.slo < 100.0) {
            return Err(("slo", format!("`{}` is not between 0 and 100, such as 99.9", self.slo)));
        }
        if self.window < TimeDelta::days(7) {
            return Err((
                "window",
                format!("`{}` is shorter than 7d", duration::format_rounded(self.window)),
            ));
        }
        let only = [
            (Dimension::Tenant, &self.tenant),
            (Dimension::Service, &self.service),
            (Dimension::Endpoint, &self.endpoint),
        ];
        let only = Scope::of(only.into_iter().filter_map(|(one, value)| Some((one, value.clone()?))));
        Ok(PAIRS
            .into_iter()
            .map(|(part, long, short, severity)| self.rule(&only, part, long, short, severity))
            .collect())
    }

    fn rule(&self, only: &Scope, part: f64, long: TimeDelta, short: TimeDelta, severity: Severity) -> Rule {
        let factor = part * self.window.as_seconds_f64() / long.as_seconds_f64();
        Rule {
            name: format!("{}.{}", self.name, duration::format_rounded(long).replace(' ', "")),
            condition: Condition::BurnRate(BurnRate {
                slo: self.slo,
                budget: self.window,
                long,
                short,
                factor,
            }),
            window: long,
            by: only.iter().map(|(dimension, _)| dimension).collect(),
            only: only.clone(),
            hold: TimeDelta::zero(),
            clear_for: TimeDelta::minutes(5),
            severity,
            min_count: self.min_count,
            labels: self.labels.clone(),
        }
    }
}

impl BurnRate {
    /// How many times as fast as it may the budget has to go.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Both windows, the long one first.
    pub fn windows(&self) -> [TimeDelta; 2] {
        [self.long, self.short]
    }

    /// How many times as fast as it may the budget goes, by requests and failures in both windows: the slower of both.
    /// `None` when there was no request in one of them.
    pub fn rate(&self, [long, short]: [(i64, i64); 2]) -> Option<f64> {
        let allowed = (100.0 - self.slo) / 100.0;
        let rate = |(count, errors): (i64, i64)| (count > 0).then(|| errors as f64 / count as f64 / allowed);
        Some(rate(long)?.min(rate(short)?))
    }

    pub(crate) fn name(&self) -> String {
        format!("the error budget of {} %", self.slo)
    }

    pub(crate) fn words(&self, rate: f64) -> String {
        let left = self.budget.as_seconds_f64() / rate.max(f64::MIN_POSITIVE);
        let rest = if left < self.budget.as_seconds_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "below the seconds of ten years")]
            let left = TimeDelta::seconds(left as i64);
            format!(
                "; at this pace all of it lasts {} instead of {}",
                duration::format_rounded(left),
                duration::format_rounded(self.budget)
            )
        } else {
            String::new()
        };
        format!(
            "over the last {} and the last {}; told from {:.1} times on{rest}",
            duration::format_rounded(self.long),
            duration::format_rounded(self.short),
            self.factor
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Outcome, Reading};

    fn rules() -> Vec<Rule> {
        toml::from_str::<SloSettings>("name = 'shop'\nslo = 99.9\nservice = 'shop'").unwrap().rules().unwrap()
    }

    #[test]
    fn the_factors_are_those_of_the_workbook() {
        let factors: Vec<_> = rules()
            .iter()
            .map(|rule| (rule.name.clone(), rule.threshold().unwrap(), rule.severity))
            .collect();
        let expected = [
            ("shop.1h", 14.4, Severity::Critical),
            ("shop.6h", 6.0, Severity::High),
            ("shop.3d", 1.0, Severity::Medium),
        ];
        for ((name, factor, severity), (right_name, right, right_severity)) in factors.iter().zip(expected) {
            assert!(
                name == right_name && (factor - right).abs() < 1e-9 && *severity == right_severity,
                "{name} {factor}"
            );
        }
    }

    #[test]
    fn both_windows_have_to_burn() {
        let rule = &rules()[0];
        let Condition::BurnRate(burn) = &rule.condition else { panic!("{rule:?}") };
        let judge = |windows| {
            let reading = Reading {
                scope: rule.only.clone(),
                value: burn.rate(windows),
                count: windows[0].0,
                note: None,
            };
            rule.judge(&reading, false)
        };
        assert_eq!(judge([(10_000, 150), (1000, 15)]), Outcome::Breach);
        assert_eq!(judge([(10_000, 150), (1000, 14)]), Outcome::Ok, "it is over");
        assert_eq!(judge([(10_000, 140), (1000, 999)]), Outcome::Ok, "it has only just begun");
        assert_eq!(judge([(10_000, 150), (0, 0)]), Outcome::NoData);
        assert_eq!(judge([(99, 99), (10, 10)]), Outcome::NoData, "too little traffic to say");
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, key) in [("slo = 100", "slo"), ("slo = 99\nwindow = '1d'", "window")] {
            let settings: SloSettings = toml::from_str(&format!("name = 'a'\n{text}")).unwrap();
            assert_eq!(settings.rules().unwrap_err().0, key);
        }
    }
}
