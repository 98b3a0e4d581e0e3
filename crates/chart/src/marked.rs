//! A series with marks at some of its points, and a score between 0 and 1 below each of them.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::picture::png;

const WIDTH: f64 = 1200.0;
const EDGE: f64 = 12.0;
/// From where to where the values and the scores stand, downwards.
const VALUES: (f64, f64) = (34.0, 300.0);
const SCORES: (f64, f64) = (312.0, 380.0);
const HEIGHT: f64 = 404.0;
/// Points of one column of pixels are drawn as one line from the least to the greatest.
const COLUMNS: usize = 1176;

/// A value, and how unusual it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredPoint {
    /// When.
    pub at: DateTime<Utc>,
    /// What; what is no number is a gap.
    pub value: f64,
    /// From 0 to 1.
    pub score: f64,
}

/// A series with marks.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkedChart {
    /// What stands above it.
    pub title: String,
    /// In order.
    pub points: Vec<ScoredPoint>,
    /// Where a thin line goes from top to bottom.
    pub marks: Vec<DateTime<Utc>>,
    /// Where a broad one does: levels change.
    pub changes: Vec<DateTime<Utc>>,
    /// Scores from here on stand out.
    pub threshold: f64,
}

struct Scales {
    begin_ms: f64,
    length_ms: f64,
    least: f64,
    range: f64,
}

impl Scales {
    fn of(points: &[ScoredPoint]) -> Self {
        let ms = |point: Option<&ScoredPoint>| point.map_or(0.0, |point| point.at.timestamp_millis() as f64);
        let (begin_ms, end_ms) = (ms(points.first()), ms(points.last()));
        let values = || points.iter().map(|point| point.value).filter(|value| value.is_finite());
        let (least, most) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let range = most / 2.0 - least / 2.0;
        let (least, range) =
            if range > 0.0 && range.is_finite() { (least, range * 2.0) } else { (least - 0.5, 1.0) };
        Self { begin_ms, length_ms: (end_ms - begin_ms).max(1.0), least, range }
    }

    fn x(&self, at: DateTime<Utc>) -> f64 {
        EDGE + (at.timestamp_millis() as f64 - self.begin_ms) / self.length_ms * (WIDTH - 2.0 * EDGE)
    }

    fn y(&self, value: f64) -> f64 {
        let part = ((value - self.least) / self.range).clamp(0.0, 1.0);
        VALUES.1 - part * (VALUES.1 - VALUES.0)
    }
}

impl MarkedChart {
    /// As a picture that stands alone.
    pub fn svg(&self) -> String {
        let scales = Scales::of(&self.points);
        let mut svg = String::new();
        // Writing into a String cannot fail.
        let _ = write!(
            svg,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/><text x="{EDGE}" y="20" fill="#0f172a">{}</text>"##,
            escaped(&self.title)
        );
        for (times, colour, width) in [(&self.changes, "#f59e0b", 5.0), (&self.marks, "#dc2626", 1.4)] {
            for at in times {
                let x = scales.x(*at);
                let _ = write!(
                    svg,
                    r#"<line x1="{x:.1}" y1="{}" x2="{x:.1}" y2="{}" stroke="{colour}" stroke-opacity="0.6" stroke-width="{width}"/>"#,
                    VALUES.0, SCORES.1
                );
            }
        }
        self.draw_values(&mut svg, &scales);
        self.draw_scores(&mut svg, &scales);
        for (point, anchor, x) in
            [(self.points.first(), "start", EDGE), (self.points.last(), "end", WIDTH - EDGE)]
        {
            if let Some(point) = point {
                let _ = write!(
                    svg,
                    r##"<text x="{x}" y="{}" text-anchor="{anchor}" fill="#475569">{}</text>"##,
                    HEIGHT - 8.0,
                    point.at.format("%Y-%m-%d %H:%M")
                );
            }
        }
        svg.push_str("</svg>");
        svg
    }

    /// As a PNG, without the words.
    ///
    /// # Errors
    /// A sentence, when the picture cannot be drawn.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        png(&self.svg())
    }

    fn draw_values(&self, svg: &mut String, scales: &Scales) {
        let mut path = String::new();
        let mut is_gap = true;
        for column in self.points.chunks(self.points.len().div_ceil(COLUMNS).max(1)) {
            let values = || column.iter().filter(|point| point.value.is_finite());
            let by_value = |a: &&ScoredPoint, b: &&ScoredPoint| a.value.total_cmp(&b.value);
            let (Some(least), Some(most)) = (values().min_by(by_value), values().max_by(by_value)) else {
                is_gap = true;
                continue;
            };
            // In the order in which they came.
            let pair = if least.at <= most.at { [least, most] } else { [most, least] };
            for point in pair {
                let command = if is_gap { 'M' } else { 'L' };
                let _ = write!(path, "{command}{:.1} {:.1}", scales.x(point.at), scales.y(point.value));
                is_gap = false;
            }
        }
        let _ = write!(svg, r##"<path d="{path}" fill="none" stroke="#2563eb" stroke-width="1"/>"##);
    }

    fn draw_scores(&self, svg: &mut String, scales: &Scales) {
        let mut path = String::new();
        for column in self.points.chunks(self.points.len().div_ceil(COLUMNS).max(1)) {
            let greatest = column.iter().max_by(|a, b| a.score.total_cmp(&b.score));
            if let Some(point) = greatest.filter(|point| point.score > 0.02) {
                let y = SCORES.1 - point.score.min(1.0) * (SCORES.1 - SCORES.0);
                let _ = write!(path, "M{:.1} {}V{y:.1}", scales.x(point.at), SCORES.1);
            }
        }
        let y = SCORES.1 - self.threshold * (SCORES.1 - SCORES.0);
        let _ = write!(
            svg,
            r##"<path d="{path}" stroke="#64748b" stroke-width="1"/><line x1="{EDGE}" y1="{y:.1}" x2="{}" y2="{y:.1}" stroke="#dc2626" stroke-dasharray="4 4"/>"##,
            WIDTH - EDGE
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn chart(values: &[f64]) -> MarkedChart {
        let at = |index: usize| DateTime::UNIX_EPOCH + TimeDelta::minutes(5 * i64::try_from(index).unwrap());
        let point = |(index, value): (usize, &f64)| ScoredPoint { at: at(index), value: *value, score: 0.1 };
        MarkedChart {
            title: "cpu <1> & more".to_owned(),
            points: values.iter().enumerate().map(point).collect(),
            marks: vec![at(2)],
            changes: vec![at(1)],
            threshold: 0.5,
        }
    }

    #[test]
    fn a_gap_splits_the_line_and_the_title_is_escaped() {
        let svg = chart(&[1.0, 2.0, f64::NAN, -3.0, 4.0]).svg();
        let line = svg.split("<path d=\"").nth(1).unwrap();
        assert_eq!(line.split('"').next().unwrap().matches('M').count(), 2, "{svg}");
        assert!(svg.contains("cpu &lt;1> &amp; more"));
    }

    #[test]
    fn odd_values_draw_a_picture_too() {
        for values in
            [&[][..], &[1.0], &[5.0, 5.0, 5.0], &[f64::NAN], &[-1e308, 1e308], &[f64::INFINITY, 1.0]]
        {
            let png = chart(values).png().unwrap();
            assert!(png.starts_with(b"\x89PNG"), "{values:?}");
        }
    }

    #[test]
    fn many_points_stay_a_small_picture() {
        let values: Vec<f64> = (0..100_000).map(|index| f64::from(index % 977)).collect();
        assert!(chart(&values).svg().len() < 100_000);
    }
}
