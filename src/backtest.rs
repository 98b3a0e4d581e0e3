//! What the detectors would have said of a series that somebody has: files of `timestamp,value` in, a score for each row out. They are
//! the very ones that jobs use, and see each row before those behind it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, NaiveDateTime, Utc};
use dogwatch_chart::{MarkedChart, ScoredPoint};
use dogwatch_detect::{ALERT_SCORE, ChangePoint, ChangeSettings, Detector, Point, Scale, change_points};
use serde::Serialize;

/// Levels that differ by less are the same.
const CHANGES: ChangeSettings = ChangeSettings { scale: Scale::Linear, min_percent: 10.0, min_absolute: 0.0 };

/// A row, and what was said of it.
#[derive(Debug)]
pub struct Row {
    /// As it was written.
    pub timestamp: String,
    at: DateTime<Utc>,
    value: f64,
    /// From 0 to 1.
    pub anomaly_score: f64,
}

/// What was said of a file.
#[derive(Debug, Serialize)]
pub struct Backtest {
    /// Its name.
    pub file: String,
    /// Rows in it.
    pub points: usize,
    /// When an anomaly would have been told, each once.
    pub anomalies: Vec<DateTime<Utc>>,
    /// Where the level changed for good, and when it came back.
    pub changes: Vec<ChangePoint>,
    /// What a row took, in microseconds.
    pub microseconds_per_point: f64,
    /// Each row in its order.
    #[serde(skip)]
    pub rows: Vec<Row>,
}

impl Backtest {
    /// Runs the detectors over a file, which goes by this name.
    ///
    /// # Errors
    /// When it cannot be read; says which row is wrong.
    pub fn run(file: &Path, name: String) -> anyhow::Result<Self> {
        let mut rows = read(file).with_context(|| file.display().to_string())?;
        let began = Instant::now();
        let mut detector = Detector::new();
        for row in &mut rows {
            row.anomaly_score = detector.push(row.at.timestamp(), row.value);
        }
        let took: Duration = began.elapsed();
        let points: Vec<Point> =
            rows.iter().map(|row| Point { at: row.at.timestamp(), value: row.value, count: 1.0 }).collect();
        let told = rows.iter().filter(|row| row.anomaly_score >= ALERT_SCORE);
        Ok(Self {
            file: name,
            points: rows.len(),
            anomalies: told.map(|row| row.at).collect(),
            changes: change_points(&points, &CHANGES),
            microseconds_per_point: took.as_secs_f64() * 1e6 / rows.len().max(1) as f64,
            rows,
        })
    }

    /// `timestamp,anomaly_score`, a row for each of the file's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_scores(&self, out: impl std::io::Write) -> anyhow::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["timestamp", "anomaly_score"])?;
        for row in &self.rows {
            csv.write_record([&row.timestamp, &format!("{:.9}", row.anomaly_score)])?;
        }
        Ok(csv.flush()?)
    }

    /// As a picture.
    pub fn chart(&self) -> MarkedChart {
        let point = |row: &Row| ScoredPoint { at: row.at, value: row.value, score: row.anomaly_score };
        let changes = self.changes.iter().filter_map(|change| DateTime::from_timestamp(change.at, 0));
        MarkedChart {
            title: format!(
                "{}. Anomalies: {}. Changes of level: {}.",
                self.file,
                self.anomalies.len(),
                self.changes.len()
            ),
            points: self.rows.iter().map(point).collect(),
            marks: self.anomalies.clone(),
            changes: changes.collect(),
            threshold: ALERT_SCORE,
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<Row>> {
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file)?;
    let header = csv.headers()?.clone();
    let column = |name: &str| {
        let found = header.iter().position(|word| word.eq_ignore_ascii_case(name));
        found.with_context(|| {
            let words: Vec<&str> = header.iter().collect();
            format!("has no column `{name}` but {}; write `timestamp,value` above the rows", words.join(", "))
        })
    };
    let (timestamp, value) = (column("timestamp")?, column("value")?);
    let mut rows = Vec::new();
    for record in csv.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let text = record.get(timestamp).unwrap_or_default();
        let at = time(text).with_context(|| {
            format!("line {line}: `{text}` is no time; write one such as 2026-11-26 09:30:00, in UTC")
        })?;
        let number = record.get(value).unwrap_or_default();
        // A row without a value is a gap.
        let value = if number.is_empty() { Ok(f64::NAN) } else { number.parse() };
        let value = value.with_context(|| format!("line {line}: `{number}` is no number"))?;
        rows.push(Row { timestamp: text.to_owned(), at, value, anomaly_score: 0.0 });
    }
    Ok(rows)
}

/// A time with a zone, one of UTC without, or seconds since 1970.
fn time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let plain = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    plain.map(|time| time.and_utc()).or_else(|| {
        let seconds: f64 = text.parse().ok().filter(|seconds: &f64| seconds.abs() < 1e11)?;
        #[expect(clippy::cast_possible_truncation, reason = "was just bounded")]
        DateTime::from_timestamp_millis((seconds * 1e3) as i64)
    })
}

/// The files of a folder and of those in it that end in `.csv`, in order.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.path().extension().is_some_and(|end| end.eq_ignore_ascii_case("csv")) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
