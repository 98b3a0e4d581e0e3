//! What fuzzing does with arbitrary bytes (`fuzz/`): each function reads them as one kind of input from outside, and panics
//! where a promise about it is broken. A test replays all that fuzzing has found.

use dogwatch_alerting::{Labels, Matcher};
use dogwatch_sql::{Dialect, normalize};

pub use crate::api::fuzzing::api_body;
use crate::backtest::Backtest;
pub use crate::otlp::fuzzing::otlp;

const DIALECTS: [Dialect; 6] =
    [Dialect::Postgres, Dialect::MySql, Dialect::SqlServer, Dialect::Sqlite, Dialect::Oracle, Dialect::Other];

/// The first byte, which chooses among variants, and the rest.
pub(crate) fn variant(data: &[u8], variants: usize) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((usize::from(*first) % variants, rest))
}

/// A statement, in a dialect.
///
/// # Panics
/// When a promise is broken.
pub fn sql(data: &[u8]) {
    let Some((dialect, text)) = variant(data, DIALECTS.len()) else { return };
    let text = String::from_utf8_lossy(text);
    let normalized = normalize(&text, DIALECTS[dialect]);
    assert!(normalized.text.len() <= 8192 && normalized.summary.len() <= 255);
    assert_eq!(normalized, normalize(&text, DIALECTS[dialect]), "it is the same each time");
}

/// A line with a matcher and a line with labels, both as JSON.
///
/// # Panics
/// When a promise is broken.
pub fn matcher(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (matcher, labels) = text.split_once('\n').unwrap_or((&text, "{}"));
    let Ok(matcher) = serde_json::from_str::<Matcher>(matcher) else { return };
    let labels: Labels = serde_json::from_str(labels).unwrap_or_default();
    if matcher.check().is_ok() {
        matcher.matches(&labels);
        let exact =
            labels.iter().fold(Matcher::default(), |matcher, (label, value)| matcher.and(label, value));
        assert!(exact.matches(&labels), "labels match themselves");
    }
}

/// A file of a series.
///
/// # Panics
/// When a promise is broken.
pub fn csv(data: &[u8]) {
    if let Ok(tested) = Backtest::of(data, "fuzzed.csv".to_owned()) {
        assert!(tested.rows.iter().all(|row| (0.0..=1.0).contains(&row.anomaly_score)));
        tested.write_scores(Vec::new()).expect("memory takes all");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    type Target = fn(&[u8]);

    /// What fuzzing has found, and what it begins with.
    #[test]
    fn all_of_the_corpus_is_read_without_a_fault() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let targets = [
            ("otlp", super::otlp as Target),
            ("sql", super::sql),
            ("matcher", super::matcher),
            ("csv", super::csv),
            ("api_body", super::api_body),
        ];
        for (name, target) in targets {
            let (mut files, mut bytes) = (0, 0);
            for file in fs::read_dir(corpus.join(name)).unwrap() {
                let data = fs::read(file.unwrap().path()).unwrap();
                (files, bytes) = (files + 1, bytes + data.len());
                target(&data);
            }
            assert!(files > 0 && bytes <= 1 << 20, "{name}: {files} files, {bytes} bytes");
        }
    }
}
