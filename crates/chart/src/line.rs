//! A line over time, with a threshold.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::picture::png;

/// Room at the edges, in pixels; of the left and the lower one for labels, where there are any.
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 22.0;
const EDGE: f64 = 10.0;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at: DateTime<Utc>,
    /// What; absent: not known, and the line has a gap.
    pub value: Option<f64>,
}

/// A line over time.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// In order.
    pub points: Vec<Point>,
    /// A second line behind it, such as the period before; of the same times.
    pub before: Vec<Option<f64>>,
    /// A line across.
    pub threshold: Option<f64>,
    /// Behind values, such as `ms`.
    pub unit: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Where things are on the picture.
struct Scales {
    begin_ms: f64,
    length_ms: f64,
    most: f64,
    left: f64,
    right: f64,
    bottom: f64,
}

impl Scales {
    fn x(&self, at: DateTime<Utc>) -> f64 {
        let part = (at.timestamp_millis() as f64 - self.begin_ms) / self.length_ms;
        self.left + part * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value / self.most).clamp(0.0, 1.0);
        self.bottom - part * (self.bottom - EDGE)
    }
}

impl LineChart {
    /// As an SVG element with labels. Its colours follow `currentColor` and `--accent`, `--alarm` of the page around it.
    pub fn svg(&self) -> String {
        self.draw(true)
    }

    /// As a PNG, without labels and on white.
    ///
    /// # Errors
    /// A sentence, when the picture cannot be drawn.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        png(&self.draw(false))
    }

    /// The greatest value that is shown; for words beside a picture.
    pub fn most(&self) -> Option<f64> {
        self.points.iter().filter_map(|point| point.value).filter(|value| value.is_finite()).reduce(f64::max)
    }

    fn scales(&self, with_text: bool) -> Scales {
        let begin = self.points.first().map_or(0.0, |point| point.at.timestamp_millis() as f64);
        let end = self.points.last().map_or(1.0, |point| point.at.timestamp_millis() as f64);
        let values =
            self.points.iter().filter_map(|point| point.value).chain(self.before.iter().flatten().copied());
        let most = values.chain(self.threshold).filter(|value| value.is_finite()).fold(0.0, f64::max);
        Scales {
            begin_ms: begin,
            length_ms: (end - begin).max(1.0),
            most: round_up(most),
            left: if with_text { LEFT } else { EDGE },
            right: f64::from(self.width) - EDGE,
            bottom: f64::from(self.height) - if with_text { BOTTOM } else { EDGE },
        }
    }

    fn draw(&self, with_text: bool) -> String {
        let scales = self.scales(with_text);
        let (grid, line, alarm, before) = if with_text {
            ("currentColor", "var(--accent, #2563eb)", "var(--alarm, #dc2626)", "currentColor")
        } else {
            ("#94a3b8", "#2563eb", "#dc2626", "#94a3b8")
        };
        let mut svg = String::new();
        // Writing into a String cannot fail.
        let _ = write!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img">"#,
            w = self.width,
            h = self.height
        );
        for part in [0.0, 0.5, 1.0] {
            let (y, value) = (scales.y(scales.most * part), scales.most * part);
            let _ = write!(
                svg,
                r#"<line x1="{:.1}" y1="{y:.1}" x2="{:.1}" y2="{y:.1}" stroke="{grid}" stroke-opacity="0.25"/>"#,
                scales.left, scales.right
            );
            if with_text {
                let _ = write!(
                    svg,
                    r#"<text x="{:.1}" y="{:.1}" font-size="11" text-anchor="end" fill="currentColor" fill-opacity="0.7">{}</text>"#,
                    scales.left - 6.0,
                    y + 4.0,
                    label(value, &self.unit)
                );
            }
        }
        if with_text {
            self.draw_times(&mut svg, &scales);
        }
        let times: Vec<_> = self.points.iter().map(|point| point.at).collect();
        let older = times.iter().copied().zip(self.before.iter().copied());
        draw_line(&mut svg, &scales, older, before, "stroke-opacity=\"0.5\" stroke-dasharray=\"3 3\"");
        draw_line(&mut svg, &scales, self.points.iter().map(|point| (point.at, point.value)), line, "");
        if let Some(threshold) = self.threshold {
            let y = scales.y(threshold);
            let _ = write!(
                svg,
                r#"<line x1="{:.1}" y1="{y:.1}" x2="{:.1}" y2="{y:.1}" stroke="{alarm}" stroke-dasharray="5 4"/>"#,
                scales.left, scales.right
            );
        }
        svg.push_str("</svg>");
        svg
    }

    fn draw_times(&self, svg: &mut String, scales: &Scales) {
        let [Some(first), Some(last)] = [self.points.first(), self.points.last()] else { return };
        let is_long = last.at - first.at > chrono::TimeDelta::hours(36);
        let format = if is_long { "%d %b" } else { "%H:%M" };
        for (point, anchor) in [(first, "start"), (last, "end")] {
            let _ = write!(
                svg,
                r#"<text x="{:.1}" y="{:.1}" font-size="11" text-anchor="{anchor}" fill="currentColor" fill-opacity="0.7">{}</text>"#,
                scales.x(point.at),
                f64::from(self.height) - 6.0,
                point.at.format(format)
            );
        }
    }
}

/// A line with gaps; a value that stands alone is a dot.
fn draw_line(
    svg: &mut String,
    scales: &Scales,
    points: impl Iterator<Item = (DateTime<Utc>, Option<f64>)>,
    colour: &str,
    style: &str,
) {
    let mut runs: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for (at, value) in points {
        match value.filter(|value| value.is_finite()) {
            Some(value) => {
                if let Some(run) = runs.last_mut() {
                    run.push((scales.x(at), scales.y(value)));
                }
            }
            None => runs.push(Vec::new()),
        }
    }
    for run in runs {
        match run[..] {
            [] => {}
            [(x, y)] => {
                let _ = write!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="1.8" fill="{colour}"/>"#);
            }
            _ => {
                let points: Vec<String> = run.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                let _ = write!(
                    svg,
                    r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round" {style}/>"#,
                    points.join(" ")
                );
            }
        }
    }
}

/// The next of 1, 2, 2.5, 5 and their tens.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let ten = 10.0_f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * ten).find(|step| *step >= value).unwrap_or(value)
}

/// A value on an axis: `1.5 s` for 1500 ms, `20k` for 20000.
fn label(value: f64, unit: &str) -> String {
    let short = |value: f64| {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match unit {
        "ms" if value >= 1000.0 => format!("{} s", short(value / 1000.0)),
        "" if value >= 1000.0 => format!("{}k", short(value / 1000.0)),
        "" => short(value),
        unit => format!("{} {unit}", short(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn chart(values: &[Option<f64>]) -> LineChart {
        let point = |(minute, value): (i64, &Option<f64>)| Point {
            at: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute),
            value: *value,
        };
        LineChart {
            points: (0..).zip(values).map(point).collect(),
            before: Vec::new(),
            threshold: Some(5.0),
            unit: "ms".to_owned(),
            width: 300,
            height: 100,
        }
    }

    #[test]
    fn gaps_are_gaps_and_a_lone_value_is_a_dot() {
        let svg = chart(&[Some(1.0), Some(2.0), None, Some(3.0), None, Some(4.0), Some(5.0)]).svg();
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 1));
        assert!(svg.contains(">5 ms<") && svg.contains(">00:00<") && svg.contains(">00:06<"), "{svg}");
    }

    #[test]
    fn odd_values_draw_a_picture_too() {
        for values in
            [&[][..], &[None], &[Some(f64::NAN), Some(f64::INFINITY), Some(-1.0)], &[Some(1e300); 3]]
        {
            let png = chart(values).png().unwrap();
            assert!(png.starts_with(b"\x89PNG") && png.len() < 50_000, "{values:?}");
        }
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (value, end) in [(0.0, 1.0), (0.7, 1.0), (1.1, 2.0), (23.0, 25.0), (501.0, 1000.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}");
        }
        assert_eq!([label(1500.0, "ms"), label(20_000.0, ""), label(2.5, "%")], ["1.5 s", "20k", "2.5 %"]);
    }
}
