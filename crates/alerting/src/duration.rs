//! Durations in settings, such as `5m`; of days too, which are 24 hours here: the window of an objective is `30d`.

use chrono::TimeDelta;
use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};
use serde::{Deserialize, Deserializer, de::Error};

/// Longer than any window, and short enough to be added to any time.
const MAX_DAYS: i64 = 3660;

pub(crate) fn parse(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("`{text}` is no duration; write one such as \"5m\", \"2h\" or \"30d\"");
    let span = SpanParser::new().parse_span(text).map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let delta = TimeDelta::try_milliseconds(i64::try_from(duration.as_millis()).map_err(|_| wrong())?);
    let delta = delta.ok_or_else(wrong)?;
    if delta < TimeDelta::zero() || delta > TimeDelta::days(MAX_DAYS) {
        return Err(format!("`{text}` is not between 0s and {MAX_DAYS}d"));
    }
    Ok(delta)
}

pub(crate) fn required<'de, D: Deserializer<'de>>(value: D) -> Result<TimeDelta, D::Error> {
    parse(&String::deserialize(value)?).map_err(D::Error::custom)
}

pub(crate) fn optional<'de, D: Deserializer<'de>>(value: D) -> Result<Option<TimeDelta>, D::Error> {
    required(value).map(Some)
}

/// As people write it: `90s`, `5m`, `2h 30m`, `30d`.
pub(crate) fn show(delta: TimeDelta) -> String {
    let seconds = delta.num_seconds();
    let parts = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, length) in parts {
        if rest >= length && words.len() < 2 {
            words.push(format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if words.is_empty() { "0s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_days_and_shown_as_they_are_written() {
        for (text, seconds) in [("5m", 300), ("30d", 30 * 86_400), ("2h 30m", 9000), ("0s", 0)] {
            assert_eq!(parse(text), Ok(TimeDelta::seconds(seconds)), "{text}");
            assert_eq!(show(TimeDelta::seconds(seconds)), text);
        }
        for text in ["", "5", "-5m", "1y", "99999d", "soon"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
