//! Quantiles of a stream, in a few hundred bytes that can be added up: `DDSketch` (Masson, Rim, Lee: A Fast and Fully-
//! Mergeable Quantile Sketch with Relative-Error Guarantees, PVLDB 12(12), 2019).
//!
//! A value is counted in the bucket `ceil(log(value) / log(GAMMA))`, and any value of a bucket stands for another of it
//! with a relative error of at most [`RELATIVE_ERROR`]. Merging adds counts and makes no further error.

/// How far a quantile may be from the true one. Below the 1 % that is promised: a true quantile lies between two values,
/// and that gap comes on top.
const RELATIVE_ERROR: f64 = 0.008;
const GAMMA: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);
/// A microsecond. What is shorter counts as this.
pub(crate) const MIN_MS: f64 = 0.001;
/// Three years. What is longer counts as this.
pub(crate) const MAX_MS: f64 = 1e11;
/// Buckets between the two, and one more on each side for rounding.
const MAX_BUCKETS: usize = 2100;
/// The bucket of [`MIN_MS`], rounded down.
const FIRST_BUCKET: i32 = -440;

/// Buckets in a unit of the natural logarithm.
pub(crate) fn buckets_per_e() -> f64 {
    1.0 / GAMMA.ln()
}

/// How many values lie in which bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    /// From [`FIRST_BUCKET`] on; as long as the largest value needs.
    counts: Vec<u64>,
    total: u64,
}

impl Sketch {
    /// Counts so many values of a bucket.
    pub(crate) fn add(&mut self, bucket: i32, count: u64) {
        let index = usize::try_from(bucket - FIRST_BUCKET).unwrap_or(0).min(MAX_BUCKETS - 1);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += count;
        self.total += count;
    }

    /// Adds a sketch that was stored. False when the bytes are none; then some of it may have been added.
    pub(crate) fn merge(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        let mut bucket = FIRST_BUCKET;
        while !rest.is_empty() {
            let (Some(gap), Some(count)) = (take(&mut rest), take(&mut rest)) else { return false };
            let Some(next) = i32::try_from(gap).ok().and_then(|gap| bucket.checked_add(gap)) else {
                return false;
            };
            bucket = next;
            self.add(bucket, count);
        }
        true
    }

    /// Adds another one.
    pub(crate) fn merge_counts(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// For storing: from the smallest on, the distance to the bucket before and the count, as LEB128 each.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last = 0;
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            put(&mut bytes, (index - last) as u64);
            put(&mut bytes, *count);
            last = index;
        }
        bytes
    }

    /// The value below which this part of all values lies, 0.5 being the median; `None` when there is no value.
    /// Between two values it is interpolated, as Postgres's `percentile_cont` does.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let last = self.total.checked_sub(1)?;
        let rank = part * last as f64;
        let (below, above) = (self.at(rank.floor()), self.at(rank.ceil()));
        Some(below + (above - below) * rank.fract())
    }

    /// The value of this rank, from 0 on.
    fn at(&self, rank: f64) -> f64 {
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen as f64 > rank {
                return value(index);
            }
        }
        value(self.counts.len().saturating_sub(1))
    }
}

/// The middle of a bucket: as far from its least value as from its greatest, relatively.
fn value(index: usize) -> f64 {
    let bucket = index as f64 + f64::from(FIRST_BUCKET);
    2.0 * GAMMA.powf(bucket) / (GAMMA + 1.0)
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranks and buckets are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the database does it.
    fn bucket(value: f64) -> i32 {
        (value.clamp(MIN_MS, MAX_MS).ln() * buckets_per_e()).ceil() as i32
    }

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        for value in values {
            sketch.add(bucket(*value), 1);
        }
        sketch
    }

    #[test]
    fn the_range_fits() {
        assert!(bucket(0.0) >= FIRST_BUCKET && ((bucket(f64::MAX) - FIRST_BUCKET) as usize) < MAX_BUCKETS);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_the_error(mut values in prop::collection::vec(0.001..1e9_f64, 1..500), part in 0.0..=1.0) {
            let sketch = sketch(&values);
            values.sort_by(f64::total_cmp);
            let rank: f64 = part * (values.len() - 1) as f64;
            let (below, above) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
            let exact = below + (above - below) * rank.fract();
            let told = sketch.quantile(part).unwrap();
            prop_assert!((told - exact).abs() <= exact * (RELATIVE_ERROR + 1e-9), "{told} {exact}");
        }

        #[test]
        fn merging_what_was_stored_is_counting_all(one in prop::collection::vec(0.0..1e12_f64, 0..200), other in prop::collection::vec(0.0..1e12_f64, 0..200)) {
            let all = sketch(&[&one[..], &other[..]].concat());
            let mut merged = Sketch::default();
            prop_assert!(merged.merge(&sketch(&one).to_bytes()) && merged.merge(&sketch(&other).to_bytes()));
            prop_assert_eq!(merged.to_bytes(), all.to_bytes());
            let mut added = sketch(&one);
            added.merge_counts(&sketch(&other));
            prop_assert_eq!((added.to_bytes(), added.total), (all.to_bytes(), all.total));
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            Sketch::default().merge(&bytes);
        }
    }
}
