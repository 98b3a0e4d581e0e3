//! The `[alerts]` section of dogwatch.toml.

use chrono::TimeDelta;
use dogwatch_runtime::duration;
use serde::Deserialize;

use crate::life::Policy;
use crate::metric::Metric;
use crate::rule::Rule;

/// How patient alerts are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A condition that comes back within this time opens its alert again, instead of a new one.
    #[serde(deserialize_with = "duration::time_delta::required")]
    pub reopen_within: TimeDelta,
    /// An alert that has ended and come back so often …
    pub flapping_changes: usize,
    /// … within this time is held open until it is calm for as long.
    #[serde(deserialize_with = "duration::time_delta::required")]
    pub flapping_within: TimeDelta,
    /// A message that no channel has taken after so long is given up, and told on the others.
    #[serde(deserialize_with = "duration::time_delta::required")]
    pub give_up_after: TimeDelta,
    /// Alerts that an API key may have open at a time.
    pub max_open_per_key: i64,
    /// An alert of an API key that is not reported again for so long is resolved.
    #[serde(deserialize_with = "duration::time_delta::required")]
    pub expire_after: TimeDelta,
}

impl Settings {
    /// Checks what the types cannot. The error names the key in this section and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if !(2..=30).contains(&self.flapping_changes) {
            return Err(("flapping_changes", format!("`{}` is not between 2 and 30", self.flapping_changes)));
        }
        if self.give_up_after < TimeDelta::minutes(1) {
            let given = duration::format_rounded(self.give_up_after);
            return Err(("give_up_after", format!("`{given}` is shorter than 1m")));
        }
        if !(1..=100_000).contains(&self.max_open_per_key) {
            return Err((
                "max_open_per_key",
                format!("`{}` is not between 1 and 100000", self.max_open_per_key),
            ));
        }
        if !(TimeDelta::minutes(1)..=TimeDelta::days(366)).contains(&self.expire_after) {
            let given = duration::format_rounded(self.expire_after);
            return Err(("expire_after", format!("`{given}` is not between 1m and 366d")));
        }
        Ok(())
    }

    /// How patient alerts of this rule are.
    pub fn policy(&self, rule: &Rule) -> Policy {
        let usual = Policy { hold: rule.hold, clear_for: rule.clear_for, ..self.at_once() };
        if rule.metric() == Metric::Canary {
            // It comes and goes as it should, and is one alert for ever.
            return Policy { reopen_within: rule.window * 2, flap_changes: usize::MAX, ..usual };
        }
        usual
    }

    /// For what somebody else has found: it holds when they say so, and ends when they say so.
    pub fn at_once(&self) -> Policy {
        Policy {
            hold: TimeDelta::zero(),
            clear_for: TimeDelta::zero(),
            reopen_within: self.reopen_within,
            flap_changes: self.flapping_changes,
            flap_within: self.flapping_within,
        }
    }
}
