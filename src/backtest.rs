//! What the detectors would have said of a series that somebody has: files of `timestamp,value` in, a score for each row out. They are
//! the very ones that jobs use, and see each row before those behind it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
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
    /// What was odd about the file.
    pub notes: Vec<String>,
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
        let content = std::fs::File::open(file).with_context(|| file.display().to_string())?;
        Self::of(content, name).with_context(|| file.display().to_string())
    }

    /// The same for the content of a file.
    ///
    /// # Errors
    /// Says which row is wrong.
    pub fn of(content: impl std::io::Read, name: String) -> anyhow::Result<Self> {
        let mut rows = read(content)?;
        let began = Instant::now();
        // Detectors see each time once, in the order of time, whatever the order of the rows is.
        let mut in_order: Vec<usize> = (0..rows.len()).collect();
        in_order.sort_by_key(|index| rows[*index].at);
        let is_sorted = in_order.is_sorted();
        let mut detector = Detector::new();
        let mut points: Vec<Point> = Vec::new();
        let times: Vec<DateTime<Utc>> = rows.iter().map(|row| row.at).collect();
        for same_time in in_order.chunk_by(|one, other| times[*one] == times[*other]) {
            let at = rows[same_time[0]].at.timestamp();
            let values: Vec<f64> =
                same_time.iter().map(|index| rows[*index].value).filter(|value| !value.is_nan()).collect();
            let value =
                if values.is_empty() { f64::NAN } else { values.iter().sum::<f64>() / values.len() as f64 };
            let score = detector.push(at, value);
            for index in same_time {
                rows[*index].anomaly_score = score;
            }
            points.push(Point { at, value, count: 1.0 });
        }
        let took: Duration = began.elapsed();
        let mut anomalies: Vec<DateTime<Utc>> =
            rows.iter().filter(|row| row.anomaly_score >= ALERT_SCORE).map(|row| row.at).collect();
        anomalies.sort_unstable();
        anomalies.dedup();
        Ok(Self {
            file: name,
            points: rows.len(),
            anomalies,
            notes: notes(is_sorted, rows.len() - points.len()),
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
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.at);
        let point = |row: &Row| ScoredPoint { at: row.at, value: row.value, score: row.anomaly_score };
        let changes = self.changes.iter().filter_map(|change| DateTime::from_timestamp(change.at, 0));
        MarkedChart {
            title: format!(
                "{}. Anomalies: {}. Changes of level: {}.",
                self.file,
                self.anomalies.len(),
                self.changes.len()
            ),
            points: rows.into_iter().map(point).collect(),
            marks: self.anomalies.clone(),
            changes: changes.collect(),
            threshold: ALERT_SCORE,
        }
    }
}

fn notes(is_sorted: bool, repeated: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if !is_sorted {
        notes.push("the rows are not in the order of their times, and were judged in that order".to_owned());
    }
    if repeated > 0 {
        notes.push(format!("{repeated} rows have the time of another; the mean of each time was judged"));
    }
    notes
}

/// How files write that there is no value.
const NO_VALUE: [&str; 7] = ["", "null", "none", "nan", "na", "n/a", "-"];

fn read(content: impl std::io::Read) -> anyhow::Result<Vec<Row>> {
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(content);
    let header = csv.headers()?.clone();
    anyhow::ensure!(!header.is_empty(), "is empty; write `timestamp,value` above the rows");
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
        let is_gap = NO_VALUE.iter().any(|word| number.eq_ignore_ascii_case(word));
        let value = if is_gap { Ok(f64::NAN) } else { number.parse() };
        let value = value.with_context(|| format!("line {line}: `{number}` is no number"))?;
        rows.push(Row { timestamp: text.to_owned(), at, value, anomaly_score: 0.0 });
    }
    Ok(rows)
}

/// A time with a zone, one of UTC without, a date, or seconds, milliseconds, microseconds or nanoseconds since 1970.
fn time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    // `%#z` also takes hours alone.
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"];
    if let Some(time) = zoned.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()) {
        return Some(time.to_utc());
    }
    let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    if let Some(time) = plain.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()) {
        return Some(time.and_utc());
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.abs() < 1e20)?;
    // Seconds have eleven digits until the year 5138: what has more is of a smaller unit.
    let unit = [(1e11, 1.0), (1e14, 1e3), (1e17, 1e6)].into_iter().find(|(most, _)| number.abs() < *most);
    let seconds = number / unit.map_or(1e9, |(_, unit)| unit);
    #[expect(clippy::cast_possible_truncation, reason = "was just bounded")]
    DateTime::from_timestamp_millis((seconds * 1e3) as i64)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> anyhow::Result<Backtest> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        std::fs::write(&file, text).unwrap();
        Backtest::run(&file, "a.csv".to_owned())
    }

    #[test]
    fn times_are_read_however_they_are_written() {
        for text in [
            "2026-11-30T10:53:20Z",
            "2026-11-30 10:53:20",
            "2026-11-30 11:53:20+01",
            "2026-11-30 11:53:20+01:00",
            "2026-11-30T11:53:20.000+0100",
            "1796036000",
            "1796036000000",
            "1796036000000000",
            "1796036000000000000",
        ] {
            assert_eq!(time(text).unwrap().to_rfc3339(), "2026-11-30T10:53:20+00:00", "{text}");
        }
        assert_eq!(time("2026-11-30").unwrap().to_rfc3339(), "2026-11-30T00:00:00+00:00");
        assert_eq!(time("soon"), None);
    }

    #[test]
    fn rows_are_judged_in_the_order_of_time_and_each_time_once() {
        let rows: Vec<String> = (0..400)
            .map(|n| {
                format!(
                    "{},{}",
                    1_796_036_000 + n * 60,
                    if n == 390 { 900.0 } else { 10.0 + f64::from(n % 7) }
                )
            })
            .collect();
        let file = |rows: Vec<&String>| {
            let rows: Vec<&str> = rows.into_iter().map(String::as_str).collect();
            format!("timestamp,value\n{}\n", rows.join("\n"))
        };
        let ascending = run(&file(rows.iter().collect())).unwrap();
        let descending = run(&file(rows.iter().rev().collect())).unwrap();
        let tripled = run(&file(rows.iter().flat_map(|row| [row, row, row]).collect())).unwrap();
        assert!(!ascending.anomalies.is_empty());
        assert_eq!((&descending.anomalies, &tripled.anomalies), (&ascending.anomalies, &ascending.anomalies));
        assert!(ascending.notes.is_empty() && descending.notes[0].contains("not in the order"));
        assert!(tripled.notes[0].contains("800 rows have the time of another"));
        assert_eq!(
            descending.rows[0].timestamp,
            (1_796_036_000 + 399 * 60).to_string(),
            "scores stand as the rows did"
        );
    }

    #[test]
    fn what_is_no_value_is_a_gap_and_what_is_wrong_is_said() {
        let gaps = run("timestamp,value\n1,1\n2,null\n3,N/A\n4,\n5,2\n").unwrap();
        assert_eq!(gaps.rows.iter().filter(|row| row.value.is_nan()).count(), 3);
        assert!(run("").unwrap_err().root_cause().to_string().contains("is empty"));
        assert!(
            run("timestamp,value\n1,x\n").unwrap_err().root_cause().to_string().contains("invalid float")
        );
    }
}
