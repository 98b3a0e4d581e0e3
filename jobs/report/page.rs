//! A report as a page that stands alone: its styles and its charts are in it, and it needs nothing from anywhere.

use askama::Template;
use chrono::{DateTime, Utc};
use dogwatch_chart::{LineChart, Point};

use super::text::length;
use super::{Report, Step};

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    charts: Vec<(&'static str, String)>,
    figures: Vec<Figure>,
}

/// A figure beside that of the period before.
struct Figure {
    name: &'static str,
    now: String,
    change: String,
    is_worse: bool,
}

impl Report {
    /// The report as a page.
    ///
    /// # Errors
    /// When it cannot be written, which is a bug.
    pub fn html(&self) -> Result<String, askama::Error> {
        let charts = vec![
            ("Requests a minute", self.chart("", |step| Some(step.per_minute), |_| None)),
            ("Requests that fail", self.chart("%", |step| step.error_rate, |_| None)),
            (
                "95th percentile, and in the period before",
                self.chart("ms", |step| step.p95_ms, |step| step.p95_ms_before),
            ),
        ];
        Page { report: self, charts, figures: self.figures() }.render()
    }

    fn chart(&self, unit: &str, now: fn(&Step) -> Option<f64>, before: fn(&Step) -> Option<f64>) -> String {
        let line = LineChart {
            points: self.history.iter().map(|step| Point { at: step.at, value: now(step) }).collect(),
            before: self.history.iter().map(before).collect(),
            threshold: None,
            unit: unit.to_owned(),
            width: 640,
            height: 150,
        };
        line.svg()
    }

    fn figures(&self) -> Vec<Figure> {
        let (now, before) = (&self.requests, &self.requests_before);
        let share = |errors: i64, count: i64| (count > 0).then(|| 100.0 * errors as f64 / count as f64);
        let count = |count: i64| (count > 0).then_some(count as f64);
        [
            ("requests", count(now.count), count(before.count), "", 0, false),
            ("failed", share(now.errors, now.count), share(before.errors, before.count), " %", 2, true),
            ("p50", now.p50_ms, before.p50_ms, " ms", 0, true),
            ("p95", now.p95_ms, before.p95_ms, " ms", 0, true),
            ("p99", now.p99_ms, before.p99_ms, " ms", 0, true),
        ]
        .into_iter()
        .map(|(name, now, before, unit, digits, more_is_worse)| {
            let change = now.zip(before).filter(|(_, before)| *before > 0.0);
            let change = change.map(|(now, before)| 100.0 * (now / before - 1.0));
            Figure {
                name,
                now: now.map_or_else(|| "–".to_owned(), |now| format!("{now:.digits$}{unit}")),
                change: change.map(|change| format!("{change:+.0} %")).unwrap_or_default(),
                is_worse: more_is_worse && change.is_some_and(|change| change > 10.0),
            }
        })
        .collect()
    }

    fn mean(seconds: Option<&f64>) -> String {
        seconds.map_or_else(|| "–".to_owned(), |seconds| length(*seconds))
    }

    fn full(&self, host: &str, mount: &str) -> String {
        self.full_in_days(host, mount).map(|days| format!("{days:.0} days")).unwrap_or_default()
    }
}

fn minute(time: &DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M").to_string()
}

fn percent(part: Option<&f64>) -> String {
    part.map(|part| format!("{:.2} %", part * 100.0)).unwrap_or_default()
}
