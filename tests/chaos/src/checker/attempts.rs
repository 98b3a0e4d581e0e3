//! Promise 6: no job is tried more often than it may, whatever was killed.

use super::Count;
use super::facts::Facts;

pub(super) fn check(facts: &Facts<'_>, count: &mut Count) {
    for (id, job) in &facts.jobs {
        let Some(max) = facts.max_attempts(job) else { continue };
        count.checked += 1;
        let begun = job.runs.values().filter(|run| !run.begun.is_empty()).map(|run| run.attempt).max();
        let kept = job.ends().map(|end| end.attempts).max();
        let most = begun.max(kept).unwrap_or_default();
        if most > max {
            count.violations.push(format!("job {id}: attempt {most} of {max}"));
        }
    }
}
