//! The life of an alert: pending, active, acknowledged, resolved; opened again when its condition comes back soon, held
//! when it flaps. A pure state machine: what it was, what was found, what it is.
//!
//! Only [`Outcome::Ok`] leads to its end. What is not known changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

use crate::rule::Outcome;

/// Changes that are remembered; flapping needs fewer.
const MAX_CHANGES: usize = 32;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its condition holds, and not yet long enough.
    Pending,
    /// Its condition holds.
    Active,
    /// Someone has seen it.
    Acknowledged,
    /// Its condition has cleared, or someone has said so.
    Resolved,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Acknowledged, Self::Resolved];

    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == word);
        found.ok_or_else(|| format!("`{word}` is no status; write pending, active, acknowledged or resolved"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How patient an alert is.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long a condition has to hold before it is raised.
    pub hold: TimeDelta,
    /// How long it has to be well before it is resolved.
    pub clear_for: TimeDelta,
    /// A condition that comes back within this time opens its alert again.
    pub reopen_within: TimeDelta,
    /// Ends and returns within `flap_within` after which it is held open.
    pub flap_changes: usize,
    /// See `flap_changes`; a flapping alert is resolved after so long a calm.
    pub flap_within: TimeDelta,
}

impl Policy {
    /// Whether what is found now belongs to this life: it is open, or was until lately.
    pub fn continues(&self, life: &Life, now: DateTime<Utc>) -> bool {
        life.is_open() || life.resolved_at.is_some_and(|at| now - at <= self.reopen_within)
    }
}

/// What is remembered of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// Where it stands.
    pub status: Status,
    /// Since when its condition holds, while it is pending.
    pub pending_since: Option<DateTime<Utc>>,
    /// Since when its condition is clear, while it is open.
    pub calm_since: Option<DateTime<Utc>>,
    /// When it was raised last; absent before it first was.
    pub raised_at: Option<DateTime<Utc>>,
    /// When it was resolved last.
    pub resolved_at: Option<DateTime<Utc>>,
    /// How often it was opened again.
    pub reopened: i32,
    /// Ends and returns, the last ones.
    pub changes: Vec<DateTime<Utc>>,
    /// Held open, because it came and went too often.
    pub is_flapping: bool,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that is to be told.
    None,
    /// Its condition holds, for the first time or again.
    Pending,
    /// It is raised.
    Raised,
    /// It is raised again.
    Reopened,
    /// It is raised again, and so often that it is held open from now on.
    Flapping,
    /// It is over.
    Resolved,
    /// It was never raised and is over: as if it had not been.
    Forgotten,
}

impl Life {
    fn new(now: DateTime<Utc>) -> Self {
        Self {
            status: Status::Pending,
            pending_since: Some(now),
            calm_since: None,
            raised_at: None,
            resolved_at: None,
            reopened: 0,
            changes: Vec::new(),
            is_flapping: false,
        }
    }

    /// Whether it is open, or about to be.
    pub fn is_open(&self) -> bool {
        self.status != Status::Resolved
    }

    fn note_change(&mut self, now: DateTime<Utc>) {
        self.changes.push(now);
        let surplus = self.changes.len().saturating_sub(MAX_CHANGES);
        self.changes.drain(..surplus);
    }

    fn raise(mut self, now: DateTime<Utc>, policy: &Policy) -> (Option<Self>, Change) {
        let is_first = self.raised_at.is_none();
        (self.status, self.raised_at, self.pending_since, self.calm_since) =
            (Status::Active, Some(now), None, None);
        if is_first {
            return (Some(self), Change::Raised);
        }
        self.reopened += 1;
        self.note_change(now);
        let recent = self.changes.iter().filter(|at| now - **at <= policy.flap_within).count();
        let flaps = recent >= policy.flap_changes;
        let change = if flaps && !self.is_flapping { Change::Flapping } else { Change::Reopened };
        self.is_flapping = flaps;
        (Some(self), change)
    }

    fn resolve(mut self, now: DateTime<Utc>) -> (Option<Self>, Change) {
        (self.status, self.resolved_at, self.calm_since, self.is_flapping) =
            (Status::Resolved, Some(now), None, false);
        self.note_change(now);
        (Some(self), Change::Resolved)
    }
}

/// The next state, by what was found. `life` is the open alert of this condition, or else the one resolved last.
pub fn step(
    life: Option<&Life>,
    outcome: Outcome,
    now: DateTime<Utc>,
    policy: &Policy,
) -> (Option<Life>, Change) {
    let Some(life) = life.filter(|life| policy.continues(life, now)).cloned() else {
        return match outcome {
            Outcome::Breach if policy.hold <= TimeDelta::zero() => Life::new(now).raise(now, policy),
            Outcome::Breach => (Some(Life::new(now)), Change::Pending),
            _ => (None, Change::None),
        };
    };
    match (life.status, outcome) {
        (Status::Resolved, Outcome::Breach) if policy.hold <= TimeDelta::zero() => life.raise(now, policy),
        (Status::Resolved, Outcome::Breach) => {
            (Some(Life { status: Status::Pending, pending_since: Some(now), ..life }), Change::Pending)
        }
        (Status::Pending, Outcome::Breach) => {
            let since = life.pending_since.unwrap_or(now);
            if now - since >= policy.hold { life.raise(now, policy) } else { (Some(life), Change::None) }
        }
        (Status::Pending, Outcome::Ok) if life.raised_at.is_none() => (None, Change::Forgotten),
        // It had been raised before, is resolved, and stays so.
        (Status::Pending, Outcome::Ok) => {
            (Some(Life { status: Status::Resolved, pending_since: None, ..life }), Change::None)
        }
        (Status::Active | Status::Acknowledged, Outcome::Ok) => {
            let since = life.calm_since.unwrap_or(now);
            let needed = if life.is_flapping { policy.flap_within } else { policy.clear_for };
            if now - since >= needed {
                life.resolve(now)
            } else {
                (Some(Life { calm_since: Some(since), ..life }), Change::None)
            }
        }
        // Neither well nor, for what is not known, calm.
        (Status::Active | Status::Acknowledged, _) => (Some(Life { calm_since: None, ..life }), Change::None),
        (Status::Resolved | Status::Pending, _) => (Some(life), Change::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn policy(hold: i64, clear_for: i64) -> Policy {
        Policy {
            hold: TimeDelta::minutes(hold),
            clear_for: TimeDelta::minutes(clear_for),
            reopen_within: TimeDelta::minutes(30),
            flap_changes: 4,
            flap_within: TimeDelta::minutes(20),
        }
    }

    /// `b`, `o`, `n`, `e` a minute each; what has become of it each time.
    fn run(policy: &Policy, outcomes: &str) -> (Option<Life>, Vec<(i64, Change)>) {
        let mut life = None;
        let mut changes = Vec::new();
        for (minute, letter) in (0..).zip(outcomes.chars()) {
            let outcome = match letter {
                'b' => Outcome::Breach,
                'o' => Outcome::Ok,
                'n' => Outcome::NoData,
                _ => Outcome::Error,
            };
            let (next, change) = step(life.as_ref(), outcome, at(minute), policy);
            if change != Change::None {
                changes.push((minute, change));
            }
            life = next;
        }
        (life, changes)
    }

    #[test]
    fn it_is_raised_after_it_has_held_and_resolved_after_it_was_calm() {
        let (life, changes) = run(&policy(2, 2), "bbbbooboooo");
        assert_eq!(changes, [(0, Change::Pending), (2, Change::Raised), (9, Change::Resolved)]);
        assert_eq!(life.unwrap().status, Status::Resolved);
    }

    #[test]
    fn what_never_was_raised_is_forgotten() {
        assert_eq!(run(&policy(3, 0), "bbo"), (None, vec![(0, Change::Pending), (2, Change::Forgotten)]));
    }

    #[test]
    fn missing_data_and_errors_neither_raise_nor_resolve() {
        let (life, changes) = run(&policy(0, 0), &format!("b{}", "ne".repeat(200)));
        assert_eq!((life.unwrap().status, changes), (Status::Active, vec![(0, Change::Raised)]));
        assert_eq!(run(&policy(2, 0), "bnnnn").0.unwrap().status, Status::Pending);
    }

    #[test]
    fn what_comes_back_soon_opens_the_same_alert_and_later_a_new_one() {
        let (life, changes) = run(&policy(0, 0), "bob");
        assert_eq!(changes, [(0, Change::Raised), (1, Change::Resolved), (2, Change::Reopened)]);
        assert_eq!(life.unwrap().reopened, 1);
        let (life, changes) = run(&policy(0, 0), &format!("bo{}b", "o".repeat(31)));
        assert_eq!(changes.last(), Some(&(33, Change::Raised)));
        assert_eq!(life.unwrap().reopened, 0);
        // It has to hold again; what does not stays resolved, and nobody is told.
        let (life, changes) = run(&policy(1, 0), "bbobo");
        assert_eq!(
            changes,
            [(0, Change::Pending), (1, Change::Raised), (2, Change::Resolved), (3, Change::Pending)]
        );
        assert_eq!(life.unwrap().status, Status::Resolved);
    }

    #[test]
    fn what_flaps_is_told_once_and_held_until_it_is_calm() {
        let (life, changes) = run(&policy(0, 0), "bobobobobob");
        assert_eq!(
            changes,
            [
                (0, Change::Raised),
                (1, Change::Resolved),
                (2, Change::Reopened),
                (3, Change::Resolved),
                (4, Change::Flapping)
            ]
        );
        assert!(life.unwrap().is_flapping);
        let (_, changes) = run(&policy(0, 0), &format!("bobob{}", "o".repeat(25)));
        assert_eq!(changes.last(), Some(&(25, Change::Resolved)));
    }

    proptest! {
        #[test]
        fn only_a_calm_that_was_seen_resolves(outcomes in "[bone]{1,200}", hold in 0_i64..4, clear_for in 0_i64..4) {
            let policy = policy(hold, clear_for);
            let (_, changes) = run(&policy, &outcomes);
            let letters: Vec<char> = outcomes.chars().collect();
            let mut is_raised = false;
            for (minute, change) in changes {
                let index = usize::try_from(minute).unwrap();
                match change {
                    Change::Raised | Change::Reopened | Change::Flapping => {
                        prop_assert!(!is_raised && letters[index] == 'b');
                        is_raised = true;
                    }
                    Change::Resolved => {
                        prop_assert!(is_raised);
                        let calm = usize::try_from(clear_for).unwrap();
                        prop_assert!(letters[index - calm..=index].iter().all(|letter| *letter == 'o'));
                        is_raised = false;
                    }
                    Change::Forgotten => prop_assert!(!is_raised && letters[index] == 'o'),
                    Change::Pending | Change::None => prop_assert!(!is_raised),
                }
            }
        }
    }
}
