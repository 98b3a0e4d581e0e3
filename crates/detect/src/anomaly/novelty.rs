//! Whether a surprise is news: one alert per event.

use serde::{Deserialize, Serialize};

/// Points for which an event overshadows what follows: eight hours of five-minute values.
const EVENT_POINTS: u32 = 100;
/// What follows is news at once if it is this much more surprising; later less is enough.
const ESCALATION: f64 = 1.1;
/// Surprises below this are no event (such happen every hundred points).
const MIN_EVENT: f64 = 2.0;
/// What is left of a surprise that is no news.
const REST: f64 = 0.1;

/// The last event.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Novelty {
    /// The surprise at its peak.
    peak: f64,
    /// Points since.
    age: u32,
}

impl Novelty {
    /// The surprise if it is news, a tenth of it otherwise.
    pub(crate) fn push(&mut self, surprise: f64) -> f64 {
        self.age = self.age.saturating_add(1);
        let young = 1.0 - f64::from(self.age) / f64::from(EVENT_POINTS);
        let bar = if young > 0.0 { self.peak * (1.0 + (ESCALATION - 1.0) * young) } else { 0.0 };
        let news = surprise > bar;
        // What grows without being news yet is still the same event, which then lasts longer.
        if surprise > MIN_EVENT && (news || surprise >= self.peak) {
            *self = Self { peak: surprise, age: 0 };
        }
        if news { surprise } else { surprise * REST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_once_unless_it_gets_worse() {
        let mut novelty = Novelty::default();
        let mut says = |surprise: f64, news: f64| assert!((novelty.push(surprise) - news).abs() < 1e-12);
        says(5.0, 5.0);
        says(5.2, 0.52);
        says(8.0, 8.0);
        for _ in 0..EVENT_POINTS - 1 {
            says(5.0, 0.5);
        }
        says(5.0, 5.0);
    }
}
