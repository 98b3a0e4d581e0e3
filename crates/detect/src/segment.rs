//! Segmentation by penalised cost.
//!
//! PELT (Killick, Fearnhead and Eckley, "Optimal detection of changepoints with a linear computational cost", JASA
//! 107, 2012): the segmentation that minimises the sum of squares about the segments' means plus a penalty for each
//! change. Chosen over binary segmentation since that errs where changes mask each other (up and back again),
//! and over R-FPOP (Fearnhead and Rigaill, "Changepoint detection in the presence of outliers", JASA 114, 2019), whose
//! bounded cost it gets by winsorised values instead: sums of squares come from running totals in a nanosecond, where
//! R-FPOP handles dozens of pieces of a function per point. Pruning takes no account of the least length of a segment
//! (nor does it in ruptures), which can matter for changes hardly worth their penalty only.

/// Points that a segment has at least.
pub(crate) const MIN_POINTS: usize = 12;
/// Places of older changes that are tried at most; between them, the change is placed afterwards.
const MAX_PLACES: usize = 200;
/// Newest points each of which is tried as the place of a change, so that a grid delays nothing.
const NEWEST: usize = 72;

/// Running totals of a weighted series, from which the mean of any part follows at once.
pub(crate) struct Totals {
    weights: Vec<f64>,
    sums: Vec<f64>,
}

impl Totals {
    pub(crate) fn new(values: &[f64], weights: &[f64]) -> Self {
        let running = |terms: &mut dyn Iterator<Item = f64>| {
            let mut total = 0.0;
            let following = terms.map(|term| {
                total += term;
                total
            });
            std::iter::once(0.0).chain(following).collect()
        };
        Self {
            weights: running(&mut weights.iter().copied()),
            sums: running(&mut values.iter().zip(weights).map(|(value, weight)| value * weight)),
        }
    }

    fn len(&self) -> usize {
        self.weights.len() - 1
    }

    /// The sum of squares that the mean of a part explains: the less of it, the more the part costs.
    fn explained(&self, start: usize, end: usize) -> f64 {
        (self.sums[end] - self.sums[start]).powi(2) / (self.weights[end] - self.weights[start])
    }
}

/// Where segments start, other than the first, so that the sum of squares plus `penalty` for each is least.
pub(crate) fn segment_starts(totals: &Totals, penalty: f64) -> Vec<usize> {
    let places = places(totals.len());
    // Of each place: the least cost of all before it, without the sum of squares about 0, which all have in common.
    let mut costs = vec![-penalty];
    let mut previous = vec![0];
    let mut candidates = Candidates::default();
    let mut joining = 0;
    for &end in &places[1..] {
        while places[joining] + MIN_POINTS <= end {
            candidates.push(
                joining,
                costs[joining],
                totals.sums[places[joining]],
                totals.weights[places[joining]],
            );
            joining += 1;
        }
        let (best, least) = candidates.best(totals.sums[end], totals.weights[end]);
        candidates.prune(least + penalty);
        costs.push(least + penalty);
        previous.push(best);
    }
    let mut starts = Vec::new();
    let mut index = previous[places.len() - 1];
    while index > 0 {
        starts.push(places[index]);
        index = previous[index];
    }
    starts.reverse();
    refine(totals, &mut starts, places[1] - places[0], penalty);
    starts
}

/// Places where the newest segment may start; one list for each figure, so that the costs are computed several at once.
#[derive(Default)]
struct Candidates {
    indexes: Vec<usize>,
    costs: Vec<f64>,
    sums: Vec<f64>,
    weights: Vec<f64>,
    /// With the segment from here to the end that was looked at last.
    costs_to_end: Vec<f64>,
}

impl Candidates {
    fn push(&mut self, index: usize, cost: f64, sum: f64, weight: f64) {
        self.indexes.push(index);
        self.costs.push(cost);
        self.sums.push(sum);
        self.weights.push(weight);
    }

    /// The candidate from which the segment to an end costs least, and how much.
    fn best(&mut self, sum: f64, weight: f64) -> (usize, f64) {
        let before = self.costs.iter().zip(&self.sums).zip(&self.weights);
        self.costs_to_end.clear();
        self.costs_to_end.extend(before.map(|((cost, sum_before), weight_before)| {
            let difference = sum - sum_before;
            cost - difference * difference / (weight - weight_before)
        }));
        let least = self.costs_to_end.iter().copied().fold(f64::INFINITY, f64::min);
        let best = self.costs_to_end.iter().position(|&cost| cost <= least);
        (best.map_or(0, |best| self.indexes[best]), least)
    }

    /// Forgets those that a later start will always beat.
    fn prune(&mut self, limit: f64) {
        if self.costs_to_end.iter().all(|&cost| cost <= limit) {
            return;
        }
        for list in [&mut self.costs, &mut self.sums, &mut self.weights] {
            let mut costs = self.costs_to_end.iter();
            list.retain(|_| costs.next().is_some_and(|&cost| cost <= limit));
        }
        let mut costs = self.costs_to_end.iter();
        self.indexes.retain(|_| costs.next().is_some_and(|&cost| cost <= limit));
    }
}

/// The places where a segment may start or end: 0, a grid, each of the newest points.
fn places(length: usize) -> Vec<usize> {
    let older = length.saturating_sub(NEWEST);
    let step = older.div_ceil(MAX_PLACES).max(1);
    (0..older).step_by(step).chain(older..=length).collect()
}

/// Moves each start within a step of the grid to where it explains most, and takes out those that are not worth the
/// penalty any more: two of them may have stood for one between two places.
fn refine(totals: &Totals, starts: &mut Vec<usize>, step: usize, penalty: f64) {
    let neighbours = |starts: &[usize], index: usize| {
        let before = if index == 0 { 0 } else { starts[index - 1] };
        (before, starts.get(index + 1).copied().unwrap_or(totals.len()))
    };
    for index in 0..starts.len() {
        let (before, after) = neighbours(starts, index);
        let from = starts[index].saturating_sub(step).max(before + MIN_POINTS);
        let to = (starts[index] + step).min(after - MIN_POINTS);
        let explained = |start: usize| totals.explained(before, start) + totals.explained(start, after);
        if let Some(best) = (from..=to).max_by(|&one, &other| explained(one).total_cmp(&explained(other))) {
            starts[index] = best;
        }
    }
    for index in (0..starts.len()).rev() {
        let (before, after) = neighbours(starts, index);
        let start = starts[index];
        let gain = totals.explained(before, start) + totals.explained(start, after)
            - totals.explained(before, after);
        if gain < penalty {
            starts.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pseudo_random;

    fn starts(values: &[f64], penalty: f64) -> Vec<usize> {
        segment_starts(&Totals::new(values, &vec![1.0; values.len()]), penalty)
    }

    /// ruptures 1.1.10: `Pelt(model="l2", min_size=12, jump=1)`; `benches/detect/peers/oracles.py` prints it.
    #[test]
    fn the_same_as_ruptures() {
        let levels = [(0.0, 60), (1.0, 60), (0.3, 80), (1.5, 50)];
        let steps = levels.into_iter().flat_map(|(level, length)| std::iter::repeat_n(level, length));
        let values: Vec<f64> =
            pseudo_random(250, 11).iter().zip(steps).map(|(noise, step)| noise + step).collect();
        assert_eq!(starts(&values, 3.0), [60, 120, 200]);
        assert_eq!(starts(&values, 0.4), [60, 120, 168, 200]);
        assert_eq!(starts(&values, 0.2), [60, 120, 168, 200]);
    }

    #[test]
    fn changes_in_a_long_series_are_placed_between_the_places_of_the_grid() {
        let mut values = pseudo_random(4000, 2);
        values[1003..2507].iter_mut().for_each(|value| *value += 3.0);
        assert_eq!(starts(&values, 20.0), [1003, 2507]);
    }

    #[test]
    fn a_constant_series_has_one_segment() {
        assert!(starts(&[0.0; 500], 1.0).is_empty());
        assert!(starts(&[0.0; 3], 1.0).is_empty());
    }
}
