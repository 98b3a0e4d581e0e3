//! Promises 1 and 2: what was acknowledged comes to one end, and is not lost.

use super::Count;
use super::facts::{Facts, Job};

pub(super) fn check(facts: &Facts<'_>, ends: &mut Count, lost: &mut Count) {
    for (id, job) in &facts.jobs {
        let may_be_lost = facts.may_be_lost(job);
        if let Some(at) = job.acknowledged {
            lost.checked += 1;
            if job.finals.is_empty() {
                let at = facts.time(at);
                lost.wrong(may_be_lost, format!("job {id}, acknowledged at {at}, is not in Redis"));
                continue;
            }
        }
        if job.withdrawn {
            ends.checked += 1;
            if !job.finals.is_empty() || !job.runs.is_empty() {
                ends.violations.push(format!("job {id} is there, though its transaction was rolled back"));
            }
            continue;
        }
        // Who was not told that it is stored has a job that ends all the same, if it has one at all.
        if !job.finals.is_empty() {
            ends.checked += 1;
            if let Some(text) = wrong(facts, id, job) {
                ends.wrong(may_be_lost, text);
            }
        }
    }
}

fn wrong(facts: &Facts<'_>, id: &str, job: &Job<'_>) -> Option<String> {
    let ends: Vec<_> = job.ends().collect();
    let [end] = ends.as_slice() else {
        if let Some(found) = job.finals.first().filter(|_| ends.is_empty()) {
            return Some(format!("job {id} has not ended: it is `{}` when all is over", found.state));
        }
        let all: Vec<String> =
            ends.iter().map(|end| format!("{} at {:?}", end.state, end.finished_ms)).collect();
        return Some(format!("job {id} has ended {} times: {}", all.len(), all.join(", ")));
    };
    if let Some(found) = job.finals.iter().find(|found| *found != *end) {
        return Some(format!("job {id} has ended as `{}` and is `{}` all the same", end.state, found.state));
    }
    if let Some(at) = job.called_off.filter(|_| end.state != "cancelled") {
        return Some(format!(
            "job {id} was called off at {} and has ended as `{}`",
            facts.time(at),
            end.state
        ));
    }
    if let Some(text) = runs_though_told_off(facts, id, job) {
        return Some(text);
    }
    let (run, outcome) = job.accepted().find(|(_, outcome)| outcome.end.is_final())?;
    let accepted = outcome.end.state();
    (accepted != end.state).then(|| {
        let (token, at) = (run.token, facts.time(outcome.at));
        format!(
            "job {id} has ended as `{}`, but `{accepted}` was accepted of claim {token} at {at}",
            end.state
        )
    })
}

/// A job that is called off while it runs is not run again, whatever comes of this run.
fn runs_though_told_off(facts: &Facts<'_>, id: &str, job: &Job<'_>) -> Option<String> {
    let told = job.told_off?;
    let (run, _) = job.accepted().find(|(run, _)| {
        run.begun.iter().any(|begun| *begun < told) && run.ended.is_some_and(|(at, _)| at > told)
    })?;
    let (ended, _) = run.ended?;
    let again = job.runs.values().flat_map(|run| &run.begun).find(|begun| **begun > ended)?;
    let (told, again) = (facts.time(told), facts.time(*again));
    Some(format!("job {id} was called off at {told} in attempt {} and ran again at {again}", run.attempt))
}
