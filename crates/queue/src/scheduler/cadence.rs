//! When a schedule is due: a cron expression in a time zone, or a fixed interval.
//!
//! The `cron` crate is asked about wall-clock time only, where every minute exists once; `jiff` maps it to instants.
//! Over a change of daylight-saving time:
//! - a schedule that repeats within the hour or hours (`*`, steps, lists or ranges there) is due at every instant
//!   whose local time matches: `*/15 * * * *` goes on every 15 minutes, nothing is skipped and nothing doubled;
//! - one at a fixed time is due once a day: a time that the change skips is due at the first instant after it, a time
//!   that comes twice is due the first time.
//!
//! Five fields are minute, hour, day of month, month, weekday; a sixth in front is the second. A job is due when the
//! day of month AND the weekday match. Weekdays are names, since cron dialects do not agree on their numbers.

use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike, Timelike};
use jiff::civil::{self, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// When a schedule is due.
#[derive(Clone, Debug)]
pub enum Cadence {
    /// At the times of a cron expression.
    Cron {
        /// The parsed expression.
        schedule: Box<cron::Schedule>,
        /// As it was written.
        expression: String,
        /// Whether seconds, minutes or hours repeat.
        repeats: bool,
        /// Where its wall clock hangs.
        zone: TimeZone,
    },
    /// At every whole multiple of an interval since 1970, so that all schedulers agree.
    Every(Duration),
}

impl Cadence {
    /// Parses a cron expression. The error says what is wrong and what would be right.
    pub fn cron(expression: &str, zone: TimeZone) -> Result<Self, String> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let full = match fields.len() {
            5 => format!("0 {}", fields.join(" ")),
            6 => fields.join(" "),
            n => {
                return Err(format!(
                    "has {n} fields; write five (minute hour day month weekday) or six (second first), such as \"0 3 * * *\""
                ));
            }
        };
        let weekday = fields[fields.len() - 1];
        if weekday.split('/').next().is_some_and(|days| days.contains(|c: char| c.is_ascii_digit())) {
            return Err(format!(
                "weekday `{weekday}` is a number, which cron dialects read differently; write MON-FRI or SUN"
            ));
        }
        let schedule = cron::Schedule::from_str(&full).map_err(|error| {
            let reason = error.to_string();
            if reason.trim().is_empty() {
                "is not a cron expression; an example: \"*/5 * * * *\"".to_owned()
            } else {
                reason
            }
        })?;
        let repeats = full.split(' ').take(3).any(|field| field.contains(['*', '/', ',', '-']));
        let cadence =
            Self::Cron { schedule: Box::new(schedule), expression: expression.to_owned(), repeats, zone };
        let epoch = Timestamp::UNIX_EPOCH;
        if cadence.next_after(epoch).is_none() {
            return Err("never comes: no date has that day and month".to_owned());
        }
        Ok(cadence)
    }

    /// The first time due after `after`; `None` when there is none before the year 2100.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(interval) => {
                let interval = i64::try_from(interval.as_millis()).ok()?;
                let slot = after.as_millisecond().div_euclid(interval) + 1;
                Timestamp::from_millisecond(slot.checked_mul(interval)?).ok()
            }
            Self::Cron { schedule, repeats: true, zone, .. } => next_repeating(schedule, zone, after),
            Self::Cron { schedule, repeats: false, zone, .. } => next_fixed(schedule, zone, after),
        }
    }
}

impl std::fmt::Display for Cadence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(interval) => write!(f, "every {}", humane(*interval)),
            Self::Cron { expression, zone, .. } => match zone.iana_name() {
                Some("UTC") | None => f.write_str(expression),
                Some(name) => write!(f, "{expression} {name}"),
            },
        }
    }
}

fn humane(time: Duration) -> String {
    let printer = jiff::fmt::friendly::SpanPrinter::new().spacing(jiff::fmt::friendly::Spacing::None);
    printer.unsigned_duration_to_string(&time)
}

fn next_repeating(schedule: &cron::Schedule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut from = after;
    loop {
        let offset = zone.to_offset(from);
        let due = offset.to_timestamp(wall_next(schedule, offset.to_datetime(from))?).ok()?;
        let change = zone.following(from).next().filter(|change| change.timestamp() <= due);
        let Some(change) = change else { return Some(due) };
        // Read on in the new offset; the instant of the change itself may match.
        let wall = change.offset().to_datetime(change.timestamp());
        if wall_next(schedule, wall - 1.second())? == wall {
            return Some(change.timestamp());
        }
        from = change.timestamp();
    }
}

fn next_fixed(schedule: &cron::Schedule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    // A day early: local time may step back.
    let mut wall = zone.to_datetime(after) - 25.hours();
    loop {
        wall = wall_next(schedule, wall)?;
        let due = match zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok()?,
            AmbiguousOffset::Gap { after: new, .. } => {
                zone.following(new.to_timestamp(wall).ok()?).next()?.timestamp()
            }
        };
        if due > after {
            return Some(due);
        }
    }
}

/// The next matching wall-clock time. It is passed to `cron` as if it were UTC, which has no gaps and no repeats.
fn wall_next(schedule: &cron::Schedule, after: DateTime) -> Option<DateTime> {
    let field = |n: i8| u32::try_from(n).ok();
    let date =
        chrono::NaiveDate::from_ymd_opt(after.year().into(), field(after.month())?, field(after.day())?)?;
    let time = date.and_hms_opt(field(after.hour())?, field(after.minute())?, field(after.second())?)?;
    let next = schedule.after(&time.and_utc()).next()?;
    let small = |n: u32| i8::try_from(n).ok();
    let date =
        civil::Date::new(i16::try_from(next.year()).ok()?, small(next.month())?, small(next.day())?).ok()?;
    Some(date.at(small(next.hour())?, small(next.minute())?, small(next.second())?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn after(expression: &str, name: &str, from: &str, count: usize) -> Vec<String> {
        let cadence = Cadence::cron(expression, zone(name)).unwrap();
        let mut at: Timestamp = from.parse().unwrap();
        let next = |at: &mut Timestamp| {
            *at = cadence.next_after(*at).unwrap();
            at.to_zoned(zone(name)).strftime("%d %H:%M%:z").to_string()
        };
        (0..count).map(|_| next(&mut at)).collect()
    }

    #[test]
    fn a_time_that_the_change_skips_is_due_right_after_it() {
        // 2026-03-29 in Berlin: 02:00+01:00 becomes 03:00+02:00.
        let due = after("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        assert_eq!(due, ["28 02:30+01:00", "29 03:00+02:00", "30 02:30+02:00"]);
    }

    #[test]
    fn a_time_that_comes_twice_is_due_once() {
        // 2026-10-25 in Berlin: 03:00+02:00 becomes 02:00+01:00.
        let due = after("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3);
        assert_eq!(due, ["24 02:30+02:00", "25 02:30+02:00", "26 02:30+01:00"]);
    }

    #[test]
    fn what_repeats_goes_on_through_both_changes() {
        let due = after("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z", 4);
        assert_eq!(due, ["25 02:30+02:00", "25 02:00+01:00", "25 02:30+01:00", "25 03:00+01:00"]);
        let due = after("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3);
        assert_eq!(due, ["29 01:30+01:00", "29 03:00+02:00", "29 03:30+02:00"]);
    }

    /// The oracle reads Vixie's dialect; expressions are chosen so that both mean the same.
    #[test]
    fn agrees_with_another_implementation_around_every_change_of_a_year() {
        let zones =
            ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo"];
        for name in zones {
            let zone = zone(name);
            for expression in ["*/7 * * * *", "0 * * * *", "30 2 * * *", "0 0 1 * *", "15 1 * * SUN"] {
                let ours = Cadence::cron(expression, zone.clone()).unwrap();
                let theirs: croner::Cron = expression.parse().unwrap();
                let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
                let changes = zone.following(start).take(2).map(|change| change.timestamp());
                for change in changes.chain([start]) {
                    for minutes in (-180..180).step_by(11) {
                        let from = change + minutes.minutes();
                        let expected =
                            theirs.find_next_occurrence(&from.to_zoned(zone.clone()), false).unwrap();
                        let due = ours.next_after(from).unwrap();
                        assert_eq!(due, expected.timestamp(), "`{expression}` in {name} after {from}");
                        assert!(due > from);
                    }
                }
            }
        }
    }

    #[test]
    fn an_interval_is_due_at_its_multiples() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let every = Cadence::Every(Duration::from_secs(90));
        assert_eq!(every.next_after(at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T00:01:30Z")));
        assert_eq!(every.next_after(at("2026-01-01T00:01:30Z")), Some(at("2026-01-01T00:03:00Z")));
    }

    #[test]
    fn a_wrong_expression_says_what_would_be_right() {
        for (expression, expected) in [
            ("* * *", "has 3 fields; write five"),
            ("0 0 * * 1-5", "weekday `1-5` is a number"),
            ("61 * * * *", "61"),
            ("0 0 30 2 *", "never comes"),
            ("x * * * *", ""),
        ] {
            let error = Cadence::cron(expression, TimeZone::UTC).unwrap_err();
            assert!(error.contains(expected) && !error.trim().is_empty(), "{expression}: {error}");
        }
        assert!(Cadence::cron("0 9 * * MON-FRI", TimeZone::UTC).is_ok());
    }
}
