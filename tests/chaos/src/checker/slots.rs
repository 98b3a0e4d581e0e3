//! Promise 5: a slot, that is a schedule and its nominal time, is enqueued once, whoever leads.

use std::collections::{BTreeMap, BTreeSet};

use super::Count;
use super::facts::{Facts, Schedule};
use crate::event::SlotRule;

/// What comes at the very end may be cut off.
const CUT_OFF_MS: i64 = 1_500;
/// How long a failover takes at the most, in µs.
const FAILOVER: u64 = 5_000_000;
/// A slot that is not made up for is enqueued before the next one is due.
const IN_TIME_MS: i64 = 200;

/// Returns how many slots were enqueued.
pub(super) fn check(facts: &Facts<'_>, count: &mut Count) -> u64 {
    let mut by_schedule: BTreeMap<&str, BTreeMap<i64, BTreeSet<&str>>> = BTreeMap::new();
    for (id, job) in &facts.jobs {
        if let Some((schedule, slot)) = job.schedule {
            by_schedule.entry(schedule).or_default().entry(slot).or_default().insert(id);
        }
    }
    for (name, schedule) in &facts.schedules {
        let slots = by_schedule.remove(name).unwrap_or_default();
        twice(facts, name, &slots, count);
        missing(facts, name, schedule, &slots, count);
        by_schedule.insert(name, slots);
    }
    by_schedule.values().map(|slots| slots.len() as u64).sum()
}

fn twice(facts: &Facts<'_>, name: &str, slots: &BTreeMap<i64, BTreeSet<&str>>, count: &mut Count) {
    for (slot, ids) in slots {
        count.checked += 1;
        if ids.len() > 1 {
            let may_be_lost =
                facts.faults.may_lose_at_ms(*slot) || ids.iter().any(|id| facts.may_be_lost(&facts.jobs[id]));
            let ids = ids.iter().copied().collect::<Vec<_>>().join(", ");
            count.wrong(may_be_lost, format!("slot {slot} of `{name}` was enqueued as {ids}"));
        }
    }
}

fn missing(
    facts: &Facts<'_>,
    name: &str,
    schedule: &Schedule,
    slots: &BTreeMap<i64, BTreeSet<&str>>,
    count: &mut Count,
) {
    let every = schedule.every_ms;
    let (Some(stop), true) = (facts.schedulers_stop_ms, every > 0) else { return };
    // The first is enqueued at once (`run_at_start`); from then on they are counted.
    let Some(first) = slots.keys().next() else {
        if schedule.rule != SlotRule::AtMostOnce {
            count.violations.push(format!("no slot of `{name}` was enqueued at all"));
        }
        return;
    };
    let mut slot = (first.div_euclid(every) + 1) * every;
    while slot + CUT_OFF_MS < stop {
        let due = match schedule.rule {
            SlotRule::Each => true,
            SlotRule::InTime => somebody_was_there(facts, slot, every),
            SlotRule::AtMostOnce => false,
        };
        count.checked += u64::from(due);
        if due && !slots.contains_key(&slot) {
            let may_be_lost = facts.faults.may_lose_at_ms(slot);
            count.wrong(may_be_lost, format!("slot {slot} of `{name}` was not enqueued"));
        }
        slot += every;
    }
}

/// Whether Redis could be used and a scheduler led, or could have taken over long before, until the next slot.
fn somebody_was_there(facts: &Facts<'_>, slot_ms: i64, every_ms: i64) -> bool {
    let Some(at) = facts.monotonic(slot_ms) else { return false };
    let Some(to) = facts.monotonic(slot_ms + every_ms + IN_TIME_MS) else { return false };
    let from = at.saturating_sub(FAILOVER);
    let schedulers = &facts.schedulers;
    !facts.faults.redis_was_hit(from, to)
        && !schedulers.iter().any(|place| facts.faults.began_to_be_hit(place, from, to))
        && schedulers.iter().any(|place| !facts.faults.was_hit(place, from, to))
}
