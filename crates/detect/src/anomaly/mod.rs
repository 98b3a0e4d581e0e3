//! Streaming anomaly detection on one series: a score from 0 to 1 for each point, from that point and those before.
//!
//! Each value is compared with what was to be expected in several ways (`views`); the deviations are made comparable
//! across views and series as tail probabilities (`tail`); the evidence of views and of neighbouring points is added up,
//! and what follows an event is no news (`novelty`). The result does not depend on the unit of the values: scaling,
//! shifting or negating a series changes nothing.
//!
//! Why not one of the known detectors: Numenta's HTM and CAD OSE, which score well on the Numenta Anomaly Benchmark,
//! are told the range of the values in advance and keep large models; Twitter's S-H-ESD needs windows of the whole
//! series; SPOT alone sees spikes only. This one starts from nothing, has 20 kB of state and takes a microsecond.

mod novelty;
mod season;
mod smooth;
mod tail;
mod views;

use serde::{Deserialize, Serialize};

use self::novelty::Novelty;
use self::tail::Tail;
use self::views::{SEASONAL, VIEWS, Views};

/// From this score on a point is worth an alert.
pub const ALERT_SCORE: f64 = 0.5;
/// The surprise that has the score [`ALERT_SCORE`]: about as rare as one point in 8,000, which is one in a month of
/// five-minute values.
const ALERT_SURPRISE: f64 = 3.9;
/// False alarms in a day that all series together may have, whatever their number.
const ALARMS_PER_DAY: f64 = 0.1;
/// Points of one series in a day.
const POINTS_PER_DAY: f64 = 288.0;
/// Points before anything is said.
const WARM_UP: u32 = 100;
/// Points before a view has enough past: a seasonal one needs a day of five-minute values, because residuals of
/// one part of the day say nothing about those of another.
const MIN_PAST: f64 = 50.0;
const MIN_PAST_SEASONAL: f64 = 280.0;
/// Weights of the most and of the second most surprised view. Two views rarely err at once, but many anomalies show
/// in one view only, so that more than two would dilute these.
const VIEW_WEIGHTS: [f64; 2] = [0.6, 0.4];
/// A surprise above this (one point in ten) is evidence which counts for the next points as well …
const EVIDENCE_FLOOR: f64 = 1.0;
/// … with this weight …
const EVIDENCE_WEIGHT: f64 = 0.2;
/// … and so much less with every point: CUSUM (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954)
/// with forgetting, which finds what is mildly unusual for several points on end.
const EVIDENCE_KEPT: f64 = 0.8;
/// Values beyond this are taken as this, so that no difference of values overflows.
const LIMIT: f64 = 1e300;

/// From which score on a point is worth an alert where so many series are watched: [`ALERT_SCORE`] for one or two, more
/// for more. What one series does once a month is done somewhere each minute by ten thousand. The bound is Bonferroni's;
/// a rate of false discoveries (Benjamini and Hochberg) would let false alarms grow with the true ones.
pub fn alert_score(series: usize) -> f64 {
    let surprise = (series as f64 * POINTS_PER_DAY / ALARMS_PER_DAY).log10().max(ALERT_SURPRISE);
    surprise / (surprise + ALERT_SURPRISE)
}

/// Finds anomalies in one series. Serializes to its full state and goes on from it as if never interrupted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detector {
    views: Views,
    tails: [SignedTail; VIEWS],
    evidence: f64,
    novelty: Novelty,
    points: u32,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new() -> Self {
        let tail = |view: usize| SignedTail::new(if SEASONAL[view] { MIN_PAST_SEASONAL } else { MIN_PAST });
        Self {
            views: Views::new(),
            tails: std::array::from_fn(tail),
            evidence: 0.0,
            novelty: Novelty::default(),
            points: 0,
        }
    }

    /// Scores the next point, from 0 (usual) to 1; from [`ALERT_SCORE`] on it is worth an alert. `at_s` is in unix
    /// seconds and decides the time of the day and of the week. What is no number is skipped and scores 0.
    pub fn push(&mut self, at_s: i64, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let deviations = self.views.push(at_s, value.clamp(-LIMIT, LIMIT));
        let mut most = [0.0; 2];
        for (tail, deviation) in self.tails.iter_mut().zip(deviations) {
            let surprise = deviation.map_or(0.0, |deviation| tail.push(deviation));
            if surprise > most[0] {
                most = [surprise, most[0]];
            } else if surprise > most[1] {
                most[1] = surprise;
            }
        }
        let surprise = self.with_evidence(VIEW_WEIGHTS[0] * most[0] + VIEW_WEIGHTS[1] * most[1]);
        self.points = self.points.saturating_add(1);
        if self.points < WARM_UP {
            return 0.0;
        }
        let news = self.novelty.push(surprise);
        news / (news + ALERT_SURPRISE)
    }

    /// Adds the evidence of the points before.
    fn with_evidence(&mut self, surprise: f64) -> f64 {
        let sum = surprise + EVIDENCE_WEIGHT * self.evidence;
        self.evidence = self.evidence * EVIDENCE_KEPT + (surprise - EVIDENCE_FLOOR).max(0.0);
        sum
    }
}

/// Deviations upwards and downwards have tails of their own: few figures are symmetric.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SignedTail {
    above: Tail,
    below: Tail,
}

impl SignedTail {
    fn new(min_past: f64) -> Self {
        Self { above: Tail::new(min_past), below: Tail::new(min_past) }
    }

    /// The surprise of a deviation in its own direction; it is none in the other.
    fn push(&mut self, deviation: f64) -> f64 {
        self.above.push(deviation).max(self.below.push(-deviation))
    }
}
