//! Promise 8: memory does not grow. Of each process and of Redis's data, over the second half of its life, when what is
//! kept for a time is at its level.

use super::Count;
use super::facts::Facts;

/// A shorter life tells nothing.
const LEAST: usize = 20;
/// How much more memory something may use at the end of the second half than at its beginning: a part of it, or what
/// an allocator and a queue of another length make of it.
const SHARE: f64 = 0.15;
const BYTES: f64 = 4e6;

pub(super) fn check(facts: &Facts<'_>, count: &mut Count) {
    for (of, samples) in &facts.memory {
        let second_half = &samples[samples.len() / 2..];
        if second_half.len() < LEAST {
            continue;
        }
        count.checked += 1;
        let (first, last) = (second_half[0].0, second_half[second_half.len() - 1].0);
        let growth = slope(second_half) * (last - first) as f64;
        let mut bytes: Vec<u64> = second_half.iter().map(|(_, bytes)| *bytes).collect();
        bytes.sort_unstable();
        let median = bytes[bytes.len() / 2] as f64;
        if growth > (median * SHARE).max(BYTES) {
            let (from, to, megabytes) = (facts.time(first), facts.time(last), growth / 1e6);
            count.violations.push(format!("`{of}` has grown by {megabytes:.1} MB from {from} to {to}"));
        }
    }
}

/// The median of the slopes between samples (Theil and Sen): a peak or a dip says nothing.
fn slope(samples: &[(u64, u64)]) -> f64 {
    // A long run has more samples than pairs can be made of.
    let step = samples.len().div_ceil(400);
    let some: Vec<&(u64, u64)> = samples.iter().step_by(step).collect();
    let mut slopes = Vec::new();
    for (n, (at, bytes)) in some.iter().enumerate() {
        for (later, more) in &some[n + 1..] {
            if later > at {
                slopes.push((*more as f64 - *bytes as f64) / (later - at) as f64);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or_default()
}
