//! Lets each series' detector look at its new figures.
//!
//! A detector is stored as it was at a full hour, and the steps since then are shown to it again at each run: so a run writes
//! little, one that was killed has done no harm, and the same step always has the same score.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use dogwatch_detect::{Detector, Point, alert_score};
use dogwatch_store::{Store, StoreError, StoredDetector, TREND_STEP, TrendHour};

/// Series at a time: a detector has 20 kB.
const BATCH: usize = 500;
/// No packed detector is larger than this when it is unpacked.
const MAX_UNPACKED: usize = 1 << 20;

/// A figure that is worth an alert.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unusual {
    pub(super) series_id: i32,
    pub(super) at: DateTime<Utc>,
    pub(super) figure: f64,
    pub(super) score: f64,
}

/// Detectors as they were at a full hour, packed, to be stored when what they have found is.
pub(super) struct Watched {
    pub(super) unusual: Vec<Unusual>,
    pub(super) detectors: Vec<(i32, Vec<u8>)>,
}

/// Shows these series' figures since `oldest`, or since they were stored, to their detectors. `hour` is the full hour that
/// they are to be stored at.
pub(super) async fn watch(
    store: &Store,
    series: &[i32],
    oldest: DateTime<Utc>,
    hour: DateTime<Utc>,
) -> Result<Watched, StoreError> {
    let alert_score = alert_score(series.len());
    let mut watched = Watched { unusual: Vec::new(), detectors: Vec::new() };
    for batch in series.chunks(BATCH) {
        let known: Vec<Known> = store.trend_detectors(batch).await?.iter().map(unpack).collect();
        // One that knows nothing learns from all that is kept.
        let since = known.iter().map(|known| known.until.unwrap_or(oldest).max(oldest)).min();
        let mut past = points_of(store.trend_hours(batch, since.unwrap_or(oldest)).await?);
        for known in known {
            let points = past.remove(&known.series_id).unwrap_or_default();
            show(known, &points, hour, alert_score, &mut watched);
        }
    }
    Ok(watched)
}

/// A detector, and until when it has seen everything.
struct Known {
    series_id: i32,
    detector: Detector,
    until: Option<DateTime<Utc>>,
}

fn show(known: Known, points: &[Point], hour: DateTime<Utc>, alert_score: f64, watched: &mut Watched) {
    let Known { series_id, mut detector, until } = known;
    let known_until = until.map_or(i64::MIN, |at| at.timestamp());
    let is_due = known_until < hour.timestamp();
    let mut is_packed = false;
    for point in points.iter().filter(|point| point.at >= known_until) {
        if is_due && !is_packed && point.at >= hour.timestamp() {
            watched.detectors.extend(pack(series_id, &detector));
            is_packed = true;
        }
        let score = detector.push(point.at, point.value);
        if score >= alert_score
            && let Some(at) = DateTime::from_timestamp(point.at, 0)
        {
            watched.unusual.push(Unusual { series_id, at, figure: point.value, score });
        }
    }
    if is_due && !is_packed {
        watched.detectors.extend(pack(series_id, &detector));
    }
}

/// One that cannot be read was stored by another version: it knows nothing.
fn unpack(stored: &StoredDetector) -> Known {
    let read: Option<Detector> = stored.detector.as_ref().and_then(|packed| {
        let length = usize::try_from(u32::from_le_bytes(*packed.first_chunk()?)).ok()?;
        (length <= MAX_UNPACKED).then_some(())?;
        let bytes = lz4_flex::decompress_size_prepended(packed).ok()?;
        postcard::from_bytes(&bytes).ok()
    });
    let until = stored.detector_at.filter(|_| read.is_some());
    Known { series_id: stored.series_id, detector: read.unwrap_or_default(), until }
}

fn pack(series_id: i32, detector: &Detector) -> Option<(i32, Vec<u8>)> {
    let bytes = postcard::to_stdvec(detector)
        .inspect_err(|error| tracing::warn!(series = series_id, %error, "a detector cannot be stored"));
    Some((series_id, lz4_flex::compress_prepend_size(&bytes.ok()?)))
}

/// The points of each series, by time.
pub(super) fn points_of(hours: Vec<TrendHour>) -> HashMap<i32, Vec<Point>> {
    let mut points: HashMap<i32, Vec<Point>> = HashMap::new();
    for TrendHour { series_id, hour, steps } in hours {
        let at = (hour.timestamp()..).step_by(usize::try_from(TREND_STEP.num_seconds()).unwrap_or(1));
        let known = at.zip(steps).filter_map(|(at, step)| {
            let (figure, count) = step?;
            Some(Point { at, value: figure.into(), count: count.into() })
        });
        points.entry(series_id).or_default().extend(known);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_goes_on_from_where_it_was_stored_and_one_that_cannot_be_read_begins_anew() {
        let at = DateTime::UNIX_EPOCH;
        let mut detector = Detector::new();
        let figure = |step: i64| 100.0 + (step * 7919 % 101) as f64 / 10.0;
        for step in 0..500 {
            detector.push(300 * step, figure(step));
        }
        let (series_id, packed) = pack(7, &detector).unwrap();
        let stored =
            |packed: Vec<u8>| StoredDetector { series_id, detector: Some(packed), detector_at: Some(at) };
        let mut known = unpack(&stored(packed.clone()));
        assert_eq!((known.series_id, known.until), (7, Some(at)));
        for (step, value) in (500..600).map(|step| (step, if step == 550 { 900.0 } else { figure(step) })) {
            let (one, other) = (detector.push(300 * step, value), known.detector.push(300 * step, value));
            assert_eq!(one.to_bits(), other.to_bits());
        }
        let oversized = [&[255; 4][..], &packed[4..]].concat();
        for broken in [Vec::new(), vec![1, 2, 3], packed[..packed.len() / 2].to_vec(), oversized] {
            assert_eq!(unpack(&stored(broken)).until, None);
        }
    }
}
