//! Promise 9: every stored job is in exactly one collection, whenever no script runs.

use super::Count;
use super::facts::Facts;

/// How long a job may be in no collection whose producer died before it pushed the id, in µs: two passes of the
/// reconciler. Each time that Redis could not be used counts beside it, as a pass is begun anew then.
const UNFINISHED: u64 = 45_000_000;
const PASS: u64 = 2_000_000;

pub(super) fn check(facts: &Facts<'_>, count: &mut Count) {
    count.checked = facts.counted;
    for (at, queue, id, places) in &facts.misplaced {
        let unfinished = facts.jobs.get(id).and_then(|job| job.unfinished_since);
        let allowed = |since: u64| UNFINISHED + facts.faults.redis_hit_for(since, *at, PASS);
        if places.is_empty() && unfinished.is_some_and(|since| *at < since + allowed(since)) {
            continue;
        }
        let found = if places.is_empty() { "no collection".to_owned() } else { places.join(" and ") };
        let at = facts.time(*at);
        count.violations.push(format!("job {id} of queue `{queue}` was in {found} at {at}"));
    }
}
