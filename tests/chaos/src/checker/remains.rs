//! Promise 7: when all jobs have ended and the old ones were removed, nothing else is left in Redis.

use super::Count;
use super::facts::Facts;

pub(super) fn check(facts: &Facts<'_>, count: &mut Count) {
    for (name, size, most) in &facts.families {
        count.checked += 1;
        if size > most {
            count.violations.push(format!("`{name}` has {size} entries, and may have {most}"));
        }
    }
}
