//! Which schedule is due when: the schedules in force in the order of their next times, so that a turn looks at those
//! that are due and at no other, however many there are.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::file::{Schedule, Schedules};
use super::plan;
use crate::error::QueueError;
use crate::record::Payload;
use crate::registry::Catalog;

/// The schedules in force.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// Next times, of those that are known.
    due: BTreeSet<(Timestamp, usize)>,
}

/// One schedule, with what does not change from tick to tick.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) schedule: Schedule,
    pub(super) definition: String,
    /// The job of every tick.
    pub(super) job: Payload,
    /// The last slot that is known to be enqueued or passed over.
    last: Option<Timestamp>,
    next: Option<Timestamp>,
}

impl Agenda {
    pub(super) fn of(schedules: &Schedules, catalog: &Catalog) -> Result<Self, QueueError> {
        let mut agenda = Self::default();
        for schedule in schedules.enabled() {
            let job = schedule.job_now().template(catalog)?;
            agenda.by_name.insert(schedule.name.clone(), agenda.entries.len());
            let definition = schedule.definition();
            agenda.entries.push(Entry {
                schedule: schedule.clone(),
                definition,
                job,
                last: None,
                next: None,
            });
        }
        Ok(agenda)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes over what is known of schedules that have not changed. Nothing is known of the others.
    pub(super) fn continue_from(&mut self, before: &Self) {
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let same = before.by_name.get(&entry.schedule.name).map(|at| &before.entries[*at]);
            if let Some(last) =
                same.filter(|same| same.definition == entry.definition).and_then(|same| same.last)
            {
                self.counts_from(index, last);
            }
        }
    }

    /// Schedules that are not in force any more in a later agenda, in their queue: queue and name.
    pub(super) fn ended_in(&self, later: &Self) -> Vec<(String, String)> {
        let has_ended = |entry: &&Entry| {
            let same = later.by_name.get(&entry.schedule.name).map(|at| &later.entries[*at]);
            same.is_none_or(|same| same.schedule.queue != entry.schedule.queue)
        };
        let ended = self.entries.iter().filter(has_ended);
        ended.map(|entry| (entry.schedule.queue.clone(), entry.schedule.name.clone())).collect()
    }

    /// Notes the last slot of a schedule.
    pub(super) fn counts_from(&mut self, index: usize, last: Timestamp) {
        let next = self.entries[index].schedule.cadence.next_after(last);
        self.set(index, Some(last), next);
    }

    /// Notes that nothing is known of a schedule any more.
    pub(super) fn forget(&mut self, index: usize) {
        self.set(index, None, None);
    }

    /// Forgets schedules whose last slot lies too far ahead of the clock. Returns how many there were.
    pub(super) fn forget_ahead(&mut self, now: Timestamp) -> usize {
        let is_ahead =
            |entry: &Entry| entry.last.is_some_and(|last| last > now + entry.schedule.cadence.kept_ahead());
        let ahead: Vec<_> = (0..self.entries.len()).filter(|index| is_ahead(&self.entries[*index])).collect();
        for index in &ahead {
            self.forget(*index);
        }
        ahead.len()
    }

    fn set(&mut self, index: usize, last: Option<Timestamp>, next: Option<Timestamp>) {
        let entry = &mut self.entries[index];
        if let Some(before) = entry.next {
            self.due.remove(&(before, index));
        }
        (entry.last, entry.next) = (last, next);
        if let Some(next) = next {
            self.due.insert((next, index));
        }
    }

    /// Slots that are due, oldest first within a schedule. Slots that are passed over are noted as such.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(usize, Timestamp)> {
        let mut ticks = Vec::new();
        while let Some(&(next, index)) = self.due.first()
            && next <= now
        {
            let entry = &self.entries[index];
            let last = entry.last.unwrap_or(now);
            let due = plan::due(&entry.schedule.cadence, last, now, entry.schedule.misfire);
            ticks.extend(due.enqueue.iter().map(|slot| (index, *slot)));
            self.set(index, Some(due.passed.unwrap_or(last)), due.next);
        }
        ticks
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(next, _)| *next)
    }

    /// Schedules of which nothing is known.
    pub(super) fn unknown(&self) -> Vec<usize> {
        (0..self.entries.len()).filter(|index| self.entries[*index].last.is_none()).collect()
    }
}
