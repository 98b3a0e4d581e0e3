//! What is usual at this time of the day or of the week.
//!
//! A table of means per time slot, as Holt-Winters keeps it, but robust: a slot is updated once per visit with the
//! mean of that visit, and an unusual visit moves it by no more than a usual one. A slot therefore never explains
//! a value by values of the same visit. STL and MSTL model seasons better, but need the whole series.

use serde::{Deserialize, Serialize};

use super::smooth::TypicalSize;

/// Share of a new visit in the mean of a slot: the last four visits make up two thirds of it.
const LEARNING_RATE: f64 = 0.25;
/// A visit moves a slot at most like a visit this many typical residuals away from its mean.
const MAX_STEP: f64 = 5.0;
/// Residuals that the typical residual is made of, and how many times its size one of them counts at most.
const RESIDUALS: (f64, f64) = (200.0, 5.0);

/// Means per time slot of one period.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Season {
    period_s: i64,
    slots: Vec<Slot>,
    /// The slot being visited and its values so far.
    visit: Visit,
    residual: TypicalSize,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Slot {
    mean: f64,
    visits: f32,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Visit {
    slot: usize,
    mean: f64,
    values: f64,
}

impl Season {
    pub(crate) fn new(period_s: i64, slots: usize) -> Self {
        Self {
            period_s,
            slots: vec![Slot::default(); slots],
            visit: Visit::default(),
            residual: TypicalSize::new(RESIDUALS.0, RESIDUALS.1),
        }
    }

    /// What is usual at this time, from earlier visits; none at the first one. Learns the value.
    pub(crate) fn push(&mut self, at_s: i64, value: f64) -> Option<f64> {
        let within = i128::from(at_s.rem_euclid(self.period_s.max(1)));
        let slot = within * self.slots.len() as i128 / i128::from(self.period_s.max(1));
        let slot = usize::try_from(slot).unwrap_or(0);
        if slot != self.visit.slot {
            self.learn_visit();
            self.visit = Visit { slot, mean: 0.0, values: 0.0 };
        }
        self.visit.values += 1.0;
        self.visit.mean += (value - self.visit.mean) / self.visit.values.max(1.0);
        let usual = self.slots.get(slot).filter(|slot| slot.visits > 0.0)?.mean;
        self.residual.push((value - usual).abs());
        Some(usual)
    }

    fn learn_visit(&mut self) {
        let Some(slot) = self.slots.get_mut(self.visit.slot) else { return };
        if self.visit.values <= 0.0 {
            return;
        }
        let step = self.visit.mean - slot.mean;
        if slot.visits <= 0.0 {
            slot.mean = self.visit.mean;
        } else {
            let most = MAX_STEP * self.residual.get();
            slot.mean += step.max(-most).min(most) * LEARNING_RATE.max(1.0 / (f64::from(slot.visits) + 1.0));
        }
        slot.visits = (slot.visits + 1.0).min(1e3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    #[test]
    fn a_slot_is_known_from_its_second_visit() {
        let mut season = Season::new(DAY_S, 24);
        for hour in 0..24 {
            assert_eq!(season.push(hour * 3_600, hour as f64), None);
        }
        for hour in 0..23 {
            assert_eq!(season.push(DAY_S + hour * 3_600, 0.0), Some(hour as f64));
        }
    }

    #[test]
    fn an_unusual_visit_moves_a_slot_little() {
        let mut season = Season::new(DAY_S, 24);
        let wave = |hour: i64| (hour % 24) as f64 + if (hour / 24) % 2 == 0 { 0.5 } else { -0.5 };
        for hour in 0..24 * 20 {
            season.push(hour * 3_600, if hour == 24 * 18 + 5 { 1e6 } else { wave(hour) });
        }
        let usual = season.push(20 * DAY_S + 5 * 3_600, 5.0).unwrap();
        assert!((usual - 5.0).abs() < 2.0, "{usual}");
    }
}
