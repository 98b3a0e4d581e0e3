//! A rule on what is stored: when it would have fired, for how long, and how often people would have been told.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::life::{Change, Life, Policy, step};
use crate::rule::{Outcome, Reading, Rule, Scope};

/// Incidents that are kept; more are counted.
const MAX_INCIDENTS: usize = 1000;

/// A rule, looked at step by step.
#[derive(Debug)]
pub struct Replay<'a> {
    rule: &'a Rule,
    policy: Policy,
    lives: BTreeMap<Scope, Life>,
    open: BTreeMap<Scope, usize>,
    replayed: Replayed,
}

/// What would have happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replayed {
    /// How often the rule was evaluated.
    pub evaluations: u64,
    /// Outcomes of single figures.
    pub breaches: u64,
    /// Those with too little to say.
    pub no_data: u64,
    /// How often it would have been raised, also again.
    pub raised: u64,
    /// How often it would have been held for flapping.
    pub flapped: u64,
    /// Messages to each channel that hears of it, if nothing else was told with them.
    pub messages: u64,
    /// The first thousand.
    pub incidents: Vec<Incident>,
}

/// From a raise to its end.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// What it was about.
    pub scope: String,
    /// When it would have been raised.
    pub raised_at: DateTime<Utc>,
    /// When it would have been resolved; absent: not within the time.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The value that was farthest off.
    pub worst: f64,
}

impl<'a> Replay<'a> {
    /// From the beginning.
    pub fn new(rule: &'a Rule, policy: Policy) -> Self {
        Self { rule, policy, lives: BTreeMap::new(), open: BTreeMap::new(), replayed: Replayed::default() }
    }

    /// One evaluation. What was open and is not among the readings has no data.
    pub fn observe(&mut self, now: DateTime<Utc>, readings: &[Reading]) {
        self.replayed.evaluations += 1;
        for reading in readings {
            let life = self.lives.get(&reading.scope);
            let outcome = self.rule.judge(reading, life.is_some_and(Life::is_open));
            self.replayed.breaches += u64::from(outcome == Outcome::Breach);
            self.replayed.no_data += u64::from(outcome == Outcome::NoData);
            let (life, change) = step(life, outcome, now, &self.policy);
            self.note(reading, change, now);
            match life {
                Some(life) => self.lives.insert(reading.scope.clone(), life),
                None => self.lives.remove(&reading.scope),
            };
        }
    }

    fn note(&mut self, reading: &Reading, change: Change, now: DateTime<Utc>) {
        let replayed = &mut self.replayed;
        match change {
            Change::Raised | Change::Reopened | Change::Flapping => {
                replayed.raised += 1;
                replayed.messages += 1;
                replayed.flapped += u64::from(change == Change::Flapping);
                if replayed.incidents.len() < MAX_INCIDENTS {
                    self.open.insert(reading.scope.clone(), replayed.incidents.len());
                    replayed.incidents.push(Incident {
                        scope: reading.scope.to_string(),
                        raised_at: now,
                        resolved_at: None,
                        worst: reading.value.unwrap_or_default(),
                    });
                }
            }
            Change::Resolved => {
                replayed.messages += 1;
                if let Some(index) = self.open.remove(&reading.scope) {
                    replayed.incidents[index].resolved_at = Some(now);
                }
            }
            Change::None | Change::Pending | Change::Forgotten => {
                if let (Some(index), Some(value)) = (self.open.get(&reading.scope), reading.value) {
                    let incident = &mut replayed.incidents[*index];
                    if self.rule.is_worse(value, incident.worst)
                        && self.rule.judge(reading, true) == Outcome::Breach
                    {
                        incident.worst = value;
                    }
                }
            }
        }
    }

    /// What would have happened.
    pub fn finish(self) -> Replayed {
        self.replayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Dimension;
    use crate::rule::RuleSettings;
    use chrono::TimeDelta;

    #[test]
    fn a_rule_tells_when_it_would_have_fired() {
        let text = "name = 'a'\nmetric = 'error_rate'\nraise = 5\nclear = 2\nfor = '1m'";
        let rule = toml::from_str::<RuleSettings>(text).unwrap().rule().unwrap().unwrap();
        let policy = Policy {
            hold: rule.hold,
            clear_for: rule.clear_for,
            reopen_within: TimeDelta::minutes(30),
            flap_changes: 6,
            flap_within: TimeDelta::hours(1),
        };
        let mut replay = Replay::new(&rule, policy);
        for (minute, value) in [1.0, 9.0, 9.0, 20.0, 4.0, 1.0, 1.0].into_iter().enumerate() {
            let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::try_from(minute).unwrap());
            let scope = Scope::of([(Dimension::Service, "shop".to_owned())]);
            replay.observe(now, &[Reading { scope, value: Some(value), count: 10, note: None }]);
        }
        let replayed = replay.finish();
        assert_eq!(
            (replayed.evaluations, replayed.breaches, replayed.raised, replayed.messages),
            (7, 4, 1, 2)
        );
        let incident = &replayed.incidents[0];
        assert_eq!(incident.raised_at, DateTime::UNIX_EPOCH + TimeDelta::minutes(2));
        assert_eq!(incident.resolved_at, Some(DateTime::UNIX_EPOCH + TimeDelta::minutes(5)));
        assert!((incident.worst - 20.0).abs() < f64::EPSILON);
    }
}
