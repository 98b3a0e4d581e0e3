//! The canary: a rule whose figure goes up and down by the clock, so that an alert is raised and ended on a schedule and goes
//! the whole way from rule to channel. It has a channel of its own, which takes everything and keeps when it did; whoever
//! sees that nothing has arrived knows that no alert would. People hear of it only where a route names it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::metric::Metric;
use crate::rule::{Condition, Operator, Rule, Scope};
use crate::severity::Severity;

/// The name of the rule, of its alerts, and of their channel.
pub const CANARY: &str = "canary";

/// Raised once in its window.
const USUAL_WINDOW: TimeDelta = TimeDelta::minutes(30);

impl Rule {
    /// The canary that is there where no rule of this name is configured.
    pub fn canary() -> Self {
        Self {
            name: CANARY.to_owned(),
            condition: Condition::Threshold {
                metric: Metric::Canary,
                aggregate: None,
                operator: Operator::Above,
                raise: 0.5,
                clear: 0.5,
            },
            window: USUAL_WINDOW,
            by: Vec::new(),
            only: Scope::default(),
            hold: TimeDelta::zero(),
            clear_for: TimeDelta::zero(),
            severity: Severity::Low,
            min_count: 1,
            labels: [].into(),
        }
    }

    /// The figure of the canary: 1 in the first half of each window, counted from 1970, then 0.
    pub fn canary_figure(&self, now: DateTime<Utc>) -> f64 {
        let window_ms = self.window.num_milliseconds().max(1);
        let into_ms = now.timestamp_millis().rem_euclid(window_ms);
        if into_ms < window_ms / 2 { 1.0 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Outcome, Reading};

    #[test]
    fn it_is_raised_in_the_first_half_of_its_window_and_ends_in_the_second() {
        let rule = Rule::canary();
        let judge = |time: &str, is_open| {
            let now = format!("2026-05-20T{time}Z").parse().unwrap();
            let value = Some(rule.canary_figure(now));
            rule.judge(&Reading { scope: Scope::default(), value, count: 1, note: None }, is_open)
        };
        assert_eq!(judge("10:00:00", false), Outcome::Breach);
        assert_eq!(judge("10:14:59", true), Outcome::Breach);
        assert_eq!(judge("10:15:00", true), Outcome::Ok);
        assert_eq!(judge("10:30:00", false), Outcome::Breach);
    }
}
