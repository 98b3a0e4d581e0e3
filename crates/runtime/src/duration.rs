//! Durations as text, in settings, requests and options of commands: `90s`, `1h 30m`, `2d`, `1w`.
//!
//! One parser for all of them, so that a duration which is valid in one place is valid everywhere. A day is
//! 24 hours and a week is 7 days, whatever the calendar says. Months and years are refused, since they have
//! no fixed length. A duration is at most [`LONGEST`]: a longer one is a mistake, and more than Redis,
//! Postgres and clocks can add.

use std::time::Duration;

use chrono::TimeDelta;
use jiff::SpanRelativeTo;
use jiff::fmt::friendly::{Spacing, SpanParser, SpanPrinter};

/// The longest duration: 87600h, which is ten years.
pub const LONGEST: Duration = Duration::from_hours(87_600);
/// No duration needs more; a longer text is refused before it is parsed.
const MAX_BYTES: usize = 100;
/// How much of a refused text an error shows.
const SHOWN_CHARS: usize = 40;

/// Parses a duration. The error names the value and what to write.
pub fn parse(text: &str) -> Result<Duration, String> {
    let not_a_duration = || {
        format!(
            "`{}` is not a duration; write a number and its unit, such as 30s, 10m, 2h or 1d",
            shown(text)
        )
    };
    if text.len() > MAX_BYTES {
        return Err(not_a_duration());
    }
    let trimmed = text.trim();
    let duration = match parse_any(trimmed) {
        Some(duration) => duration,
        // jiff bounds each unit. With all numbers 1 it can only be refused for what it says.
        None if parse_any(&with_small_numbers(trimmed)).is_some() => Duration::MAX,
        None => return Err(not_a_duration()),
    };
    if duration > LONGEST {
        return Err(format!(
            "`{}` is too long; a duration is at most 87600h, which is ten years",
            shown(text)
        ));
    }
    Ok(duration)
}

/// Formats a duration so that [`parse`] and every earlier program reads it: hours are its largest unit.
///
/// Schedules and back-offs are kept in Redis in this form, and programs of different versions compare and
/// parse them.
pub fn format(duration: Duration) -> String {
    SpanPrinter::new().spacing(Spacing::None).unsigned_duration_to_string(&duration)
}

/// Formats a duration for people, in its two largest units: `90s` is `1m 30s`, 30 days are `30d`.
pub fn format_rounded(delta: TimeDelta) -> String {
    let mut rest = delta.num_seconds();
    let mut words = Vec::new();
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= length && words.len() < 2 {
            words.push(format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if words.is_empty() { "0s".to_owned() } else { words.join(" ") }
}

fn parse_any(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let parser = SpanParser::new();
    if let Ok(duration) = parser.parse_unsigned_duration(text) {
        return Some(duration);
    }
    // The parser of plain durations refuses days and weeks, since they have no fixed length in a calendar.
    let span = parser.parse_span(text).ok()?;
    Duration::try_from(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?).ok()
}

fn with_small_numbers(text: &str) -> String {
    let mut small = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_digit() {
            small.push(c);
        } else if !small.ends_with('1') {
            small.push('1');
        }
    }
    small
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A duration in settings and requests: `#[serde(with = "duration::required")]`.
pub mod required {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Reads a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
        super::parse(&String::deserialize(value)?).map_err(D::Error::custom)
    }

    /// Writes a duration.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format(*duration))
    }
}

/// A duration that may be absent or null: `#[serde(default, with = "duration::optional")]`.
pub mod optional {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Reads a duration, or nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(value)?;
        text.map(|text| super::parse(&text)).transpose().map_err(D::Error::custom)
    }

    /// Writes a duration, or null.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::required::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// The same for fields of chrono's type, which are added to times: `#[serde(deserialize_with = …)]`.
pub mod time_delta {
    use chrono::TimeDelta;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer};

    /// Parses a duration. What is shorter than a millisecond is cut off.
    pub fn parse(text: &str) -> Result<TimeDelta, String> {
        let duration = super::parse(text)?;
        // Ten years in milliseconds fit.
        Ok(TimeDelta::milliseconds(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Reads a duration.
    pub fn required<'de, D: Deserializer<'de>>(value: D) -> Result<TimeDelta, D::Error> {
        parse(&String::deserialize(value)?).map_err(D::Error::custom)
    }

    /// Reads a duration that may be absent.
    pub fn optional<'de, D: Deserializer<'de>>(value: D) -> Result<Option<TimeDelta>, D::Error> {
        required(value).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    const HOUR: u64 = 3600;

    #[test]
    fn days_and_weeks_are_durations_like_the_other_units() {
        for (text, seconds) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90),
            ("5m", 300),
            (" 2h 30m ", 9000),
            ("1h30m", 5400),
            ("1.5h", 5400),
            ("01:30:00", 5400),
            ("1d", 24 * HOUR),
            ("2 days", 48 * HOUR),
            ("1d12h", 36 * HOUR),
            ("1w", 7 * 24 * HOUR),
            ("1w 1d", 8 * 24 * HOUR),
            ("87600h", 87_600 * HOUR),
            ("3650d", 87_600 * HOUR),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("0.4ms"), Ok(Duration::from_micros(400)));
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_an_example() {
        for text in ["", "5", "-5m", "5m ago", "-1d", "1d ago", "1y", "2mo", "soon", "1.5d", "３０s", "1d 1d"]
        {
            let expected = format!(
                "`{text}` is not a duration; write a number and its unit, such as 30s, 10m, 2h or 1d"
            );
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_duration_is_at_most_ten_years() {
        for text in
            ["87601h", "3651d", "9999999999999h", "99999999999999999999999s", "99999999999d", "999999999w"]
        {
            let expected = format!("`{text}` is too long; a duration is at most 87600h, which is ten years");
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_refused_and_shown_in_part() {
        let error = parse(&"1".repeat(1_000_000)).unwrap_err();
        assert!(
            error.starts_with("`1111") && error.contains("1…` is not a duration") && error.len() < 200,
            "{error}"
        );
    }

    #[test]
    fn a_duration_is_shown_as_people_write_it() {
        for (text, shown) in
            [("5m", "5m"), ("30d", "30d"), ("2h 30m", "2h 30m"), ("90s", "1m 30s"), ("0s", "0s")]
        {
            assert_eq!(format_rounded(time_delta::parse(text).unwrap()), shown, "{text}");
        }
    }

    /// A schedule's text says whether it has changed, and a back-off is read by workers of other versions.
    #[test]
    fn what_is_kept_is_written_as_earlier_programs_write_and_read_it() {
        for (text, kept) in
            [("30s", "30s"), ("90s", "1m30s"), ("1500ms", "1s500ms"), ("1d", "24h"), ("1w", "168h")]
        {
            assert_eq!(format(parse(text).unwrap()), kept, "{text}");
        }
    }

    #[test]
    fn settings_and_requests_read_durations() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Settings {
            #[serde(with = "required")]
            every: Duration,
            #[serde(default, with = "optional")]
            delay: Option<Duration>,
        }
        let read = |text: &str| serde_json::from_str::<Settings>(text).map_err(|error| error.to_string());
        let day = Duration::from_hours(24);
        assert_eq!(read(r#"{"every": "1d"}"#), Ok(Settings { every: day, delay: None }));
        assert_eq!(read(r#"{"every": "1d", "delay": null}"#), Ok(Settings { every: day, delay: None }));
        let both = Settings { every: day, delay: Some(day) };
        assert_eq!(read(r#"{"every": "24h", "delay": "1d"}"#), Ok(both));
        assert!(read(r#"{"every": "soon"}"#).unwrap_err().starts_with("`soon` is not a duration"));
        let written = serde_json::to_string(&Settings { every: day, delay: None }).unwrap();
        assert_eq!(written, r#"{"every":"24h","delay":null}"#);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0..=u64::try_from(LONGEST.as_millis()).unwrap()) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_is_a_fault(text in "\\PC{0,120}") {
            let _ = parse(&text);
        }
    }
}
