//! The checker: from the list of what happened to what the queue has kept of its promises.
//!
//! A pure function. It knows nothing of how the queue works but its promises: the length of a lease, and how often a
//! lease is renewed. What it is told of faults comes from those who made them.
//!
//! Nine promises are checked; `PROMISES` names them. With `appendfsync everysec` a Redis that is killed may lose or
//! undo what happened in the last two seconds, which is Redis's contract: what is wrong with such jobs is excused,
//! counted and printed. With `always` nothing is excused.

mod attempts;
mod ends;
mod facts;
mod faults;
mod memory;
mod outcomes;
mod overlaps;
mod places;
mod remains;
mod slots;

#[cfg(test)]
mod tests;

use crate::event::Event;

use self::facts::Facts;
pub(crate) use self::faults::REDIS;

/// What is checked, in the order of the counts.
pub(crate) const PROMISES: [&str; 9] = [
    "every acknowledged job came to one end",
    "no acknowledged job was lost",
    "no claim and no job has two accepted outcomes",
    "runs overlap only where a lease had lapsed",
    "every slot of a schedule was enqueued once",
    "no job was tried more often than it may",
    "nothing is left in Redis but what is kept",
    "memory does not grow",
    "every stored job is in one collection",
];

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// One for each of [`PROMISES`].
    pub(crate) counts: [Count; 9],
    /// Processes that ended by themselves, or did not stop as they were told to.
    pub(crate) died: Vec<String>,
    pub(crate) totals: Totals,
}

/// What was found of one promise.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Count {
    /// Cases looked at.
    pub(crate) checked: u64,
    /// What Redis may lose, it may have lost.
    pub(crate) excused: u64,
    /// Each with ids and times.
    pub(crate) violations: Vec<String>,
}

/// How much there was to look at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) jobs: u64,
    pub(crate) acknowledged: u64,
    pub(crate) runs: u64,
    pub(crate) retries: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) unsent: u64,
    pub(crate) overlaps: u64,
    /// Of those: where nothing was wrong with the earlier runner, but Redis was away.
    pub(crate) overlaps_by_redis: u64,
    pub(crate) slots: u64,
}

impl Report {
    /// Whether every promise was kept.
    pub(crate) fn is_clean(&self) -> bool {
        self.died.is_empty() && self.counts.iter().all(|count| count.violations.is_empty())
    }
}

impl Count {
    /// Notes something wrong with a job that may have been hit by a loss of Redis.
    fn wrong(&mut self, may_be_lost: bool, text: String) {
        if may_be_lost {
            self.excused += 1;
        } else {
            self.violations.push(text);
        }
    }
}

/// Checks a history.
pub(crate) fn check(events: &[Event]) -> Report {
    let facts = Facts::of(events);
    let mut report = Report { died: facts.died.clone(), totals: facts.totals(), ..Report::default() };
    let [ends, lost, outcomes, overlaps, slots, attempts, remains, memory, places] = &mut report.counts;
    ends::check(&facts, ends, lost);
    outcomes::check(&facts, outcomes);
    (report.totals.overlaps, report.totals.overlaps_by_redis) = overlaps::check(&facts, overlaps);
    report.totals.slots = slots::check(&facts, slots);
    attempts::check(&facts, attempts);
    remains::check(&facts, remains);
    memory::check(&facts, memory);
    places::check(&facts, places);
    report
}
