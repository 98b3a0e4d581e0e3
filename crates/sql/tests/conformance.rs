//! OpenTelemetry's own cases for sanitised query text and summaries (semantic conventions 1.44, Apache-2.0, unchanged).

use dogwatch_sql::{Dialect, normalize};
use serde_json::Value;

#[test]
fn every_case_of_the_conventions_passes() {
    let cases: Value = serde_json::from_str(include_str!("db-sql-test-cases.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let system = case["input"]["db.system.name"].as_str().unwrap();
        let query = case["input"]["query"].as_str().unwrap();
        let normalized = normalize(query, Dialect::of_system(system));
        let accepted = case["expected"]["db.query.text"].as_array().unwrap();
        assert!(
            accepted.iter().any(|text| *text == normalized.text.as_str()),
            "{}: {accepted:?}, not {:?}",
            case["name"],
            normalized.text
        );
        assert_eq!(case["expected"]["db.query.summary"], normalized.summary.as_str(), "{}", case["name"]);
    }
}
