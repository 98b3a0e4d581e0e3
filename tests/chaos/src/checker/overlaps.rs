//! Promise 4: two runs of a job overlap only where the lease of one had lapsed, whose outcome is then refused.
//!
//! Of two claims the one with the lower attempt is the stale one: every claim counts an attempt, and what gives one
//! back needs the lease. A lease lapses when it was not renewed for its whole length, and it is renewed three times in
//! that; so for the rest of the time something has kept its holder from it, and the faults must show what.

use super::Count;
use super::facts::{Facts, Job, Run};
use crate::event::{Verdict, place};

/// A third of the lease passes between two renewals; and clocks and schedulers are not exact.
const SLACK: u64 = 150_000;
/// A run may begin late: its claim was on its way while its process stood still.
const BEFORE: u64 = 8_000_000;

/// Returns how many runs overlapped, and how many of those because Redis was away from a healthy worker.
pub(super) fn check(facts: &Facts<'_>, count: &mut Count) -> (u64, u64) {
    let (mut overlaps, mut by_redis) = (0, 0);
    for (id, job) in &facts.jobs {
        let may_be_lost = facts.may_be_lost(job);
        let mut runs: Vec<(&Run<'_>, u64)> =
            job.runs.values().filter_map(|run| Some((run, *run.begun.first()?))).collect();
        runs.sort_by_key(|(run, begun)| (run.attempt, *begun));
        count.checked += runs.len() as u64;
        for (n, (stale, stale_begun)) in runs.iter().enumerate() {
            for (other, other_begun) in &runs[n + 1..] {
                let overlap = *stale_begun < facts.end_of(other) && *other_begun < facts.end_of(stale);
                if overlap {
                    overlaps += 1;
                    let from = stale_begun.saturating_sub(BEFORE);
                    let was_hit = facts.faults.was_hit(place(stale.process), from, *other_begun);
                    by_redis += u64::from(!was_hit);
                    if let Some(reason) = wrong(facts, (stale, *stale_begun), (other, *other_begun)) {
                        count.wrong(may_be_lost, format!("job {id}: {reason}"));
                    }
                }
            }
        }
        if let Some(reason) = runs_after_its_end(facts, job, &runs) {
            count.wrong(may_be_lost, format!("job {id}: {reason}"));
        }
    }
    (overlaps, by_redis)
}

fn wrong(facts: &Facts<'_>, stale: (&Run<'_>, u64), other: (&Run<'_>, u64)) -> Option<String> {
    let both = || format!("{} and {}", describe(facts, stale), describe(facts, other));
    if stale.0.attempt == other.0.attempt {
        return Some(format!("two runs of one attempt: {}", both()));
    }
    let from = stale.1.min(other.1).saturating_sub(BEFORE);
    let without = facts.faults.longest_without_renewal(place(stale.0.process), from, other.1);
    if without < enough(facts) {
        let ms = without / 1000;
        return Some(format!(
            "overlap, though {} could not renew for {ms} ms only: {}",
            stale.0.process,
            both()
        ));
    }
    let accepted = stale.0.outcomes.iter().find(|outcome| outcome.verdict == Verdict::Accepted)?;
    let at = facts.time(accepted.at);
    Some(format!("the stale run's `{}` was accepted at {at}: {}", accepted.end.state(), both()))
}

/// After a job's end only a stale run may still begin.
fn runs_after_its_end(facts: &Facts<'_>, job: &Job<'_>, runs: &[(&Run<'_>, u64)]) -> Option<String> {
    let (last, end) = job.accepted().find(|(_, outcome)| outcome.end.is_final())?;
    let late = runs.iter().filter(|(run, begun)| *begun > end.at && run.token != last.token);
    for (run, begun) in late {
        let from = end.at.saturating_sub(4 * BEFORE);
        let without = facts.faults.longest_without_renewal(place(run.process), from, *begun);
        if run.attempt >= last.attempt || without < enough(facts) {
            let (end, run) = (facts.time(end.at), describe(facts, (run, *begun)));
            return Some(format!("ended at {end} (attempt {}) and ran again: {run}", last.attempt));
        }
    }
    None
}

fn enough(facts: &Facts<'_>) -> u64 {
    facts.lease - facts.lease / 3 - SLACK
}

fn describe(facts: &Facts<'_>, (run, begun): (&Run<'_>, u64)) -> String {
    let (from, to) = (facts.time(begun), facts.time(facts.end_of(run)));
    format!("attempt {} of {} ({from} to {to}, claim {})", run.attempt, run.process, run.token)
}
