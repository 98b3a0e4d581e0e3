//! Times from outside: within years that all that comes after can count with.

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Deserializer, de::Error};

/// Years that are taken.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2200;

/// Reads a time such as `2026-05-20T10:00:00Z`.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|error| format!("`{text}` is no time ({error}); write one such as 2026-05-20T10:00:00Z"))?;
    checked(time.to_utc())
}

fn checked(time: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    if YEARS.contains(&time.year()) {
        return Ok(time);
    }
    Err(format!("the year {} is not between {} and {}", time.year(), YEARS.start(), YEARS.end()))
}

/// For `serde(default, deserialize_with = …)`.
///
/// # Errors
/// When it is no time, or one of another age.
pub fn optional<'de, D: Deserializer<'de>>(value: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let time = Option::<DateTime<Utc>>::deserialize(value)?;
    time.map(checked).transpose().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_other_ages_are_refused() {
        assert_eq!(parse("2026-05-20T12:00:00+02:00").unwrap().to_rfc3339(), "2026-05-20T10:00:00+00:00");
        for text in [
            "+262142-12-31T23:30:00Z",
            "-4800-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2201-01-01T00:00:00Z",
        ] {
            assert!(
                serde_json::from_value::<DateTime<Utc>>(text.into()).is_ok() || parse(text).is_err(),
                "{text}"
            );
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("yesterday").unwrap_err().contains("2026-05-20T10:00:00Z"));
    }
}
