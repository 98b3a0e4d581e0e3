//! When a schedule is due: a cron expression in a time zone, or a fixed interval.
//!
//! An expression is parsed by `expression`. The `cron` crate answers on wall-clock time only, where every
//! minute exists once; `jiff` maps it to instants.
//!
//! Five fields are minute, hour, day of month, month, weekday; a sixth in front is the second. A schedule is
//! due on days that match the day of month AND the weekday; crontab(5) would take either when both are
//! restricted.
//!
//! # Changes of daylight-saving time
//!
//! The rule is that of Debian's cron (Vixie). There are two kinds of expressions:
//! - One whose second, minute or hour field begins with `*` repeats. It follows the clock: it is due at every
//!   instant whose local time matches. A time that the change skips is not due, a time that comes twice is
//!   due twice. So `*/15 * * * *` and `30 * * * *` run on without a pause and without a double;
//!   `*/15 2 * * *` does not run on the day that has no 2 o'clock, and runs eight times on the day that has
//!   two; `0 */6 * * *` misses a midnight that is skipped.
//! - Any other has fixed times, each of which is due once a day, also those of lists and ranges
//!   (`30 2,14 * * *`, `0 1-3 * * *`, `10-50/20 2 * * *`). A time that the change skips is due at the first
//!   instant after the gap, a time that comes twice is due the first time only.
//!
//! It differs from Debian's cron in two points. Times that fall on the same instant are one run: after a gap
//! Debian starts a job once for every time that was skipped, within seconds, and once more for a time right
//! after the gap. And the rule holds for every change; Debian takes one of more than three hours for a
//! corrected clock.
//!
//! # A clock that goes back
//!
//! Debian's rule again, for a clock that was wrong and is corrected backwards: what repeats runs on by the
//! corrected clock, what has fixed times is not enqueued a second time. A correction of more than three hours
//! starts both anew.

use std::time::Duration;

use chrono::{Datelike, Timelike};
use dogwatch_runtime::duration;
use jiff::civil::{self, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use super::expression;

/// A clock that goes back by no more is waited for: the clocks of two machines, as of a primary and its
/// replica, may differ by that.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// When a schedule is due.
#[derive(Clone, Debug)]
pub enum Cadence {
    /// At the times of a cron expression.
    Cron {
        /// The parsed expression.
        schedule: Box<cron::Schedule>,
        /// As it was written.
        expression: String,
        /// Whether second, minute or hour begins with `*`, so that it follows the clock.
        repeats: bool,
        /// Whether both the day of month and the weekday are restricted.
        restricts_both_days: bool,
        /// The zone of its wall clock.
        zone: TimeZone,
    },
    /// At every whole multiple of an interval since 1970, so that all schedulers agree.
    Every(Duration),
}

impl Cadence {
    /// Parses a cron expression. A zone in front of it, as `CRON_TZ=Europe/Berlin`, is used instead of
    /// `zone`. The error says what is wrong and what would be right.
    pub fn cron(text: &str, zone: TimeZone) -> Result<Self, String> {
        let (own_zone, text) = expression::split_zone(text)?;
        let parsed = expression::parse(text)?;
        let cadence = Self::Cron {
            schedule: Box::new(parsed.schedule),
            expression: text.to_owned(),
            repeats: parsed.repeats,
            restricts_both_days: parsed.restricts_both_days,
            zone: own_zone.unwrap_or(zone),
        };
        if cadence.next_after(Timestamp::UNIX_EPOCH).is_none() {
            return Err("never comes, since no date has that day and month; write a day that the month has"
                .to_owned());
        }
        Ok(cadence)
    }

    /// How far ahead of the clock the last slot may lie when counting goes on from there. Further ahead, the
    /// clock has gone back, and counting starts anew at the present time.
    pub(super) fn kept_ahead(&self) -> Duration {
        match self {
            Self::Cron { repeats: false, .. } => Duration::from_hours(3),
            Self::Cron { repeats: true, .. } | Self::Every(_) => CLOCK_TOLERANCE,
        }
    }

    /// What may not be as its author expects; nothing is wrong.
    pub fn note(&self) -> Option<&'static str> {
        match self {
            Self::Cron { restricts_both_days: true, .. } => Some(
                "restricts both the day of month and the weekday: it runs only on days that match both; \
                 crontab(5) would run on either",
            ),
            _ => None,
        }
    }

    /// The first time due after `after`; `None` when there is none before the year 2100.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(interval) => {
                let interval = i64::try_from(interval.as_millis()).ok()?;
                let slot = after.as_millisecond().div_euclid(interval) + 1;
                Timestamp::from_millisecond(slot.checked_mul(interval)?).ok()
            }
            Self::Cron { schedule, repeats: true, zone, .. } => next_by_clock(schedule, zone, after),
            Self::Cron { schedule, repeats: false, zone, .. } => next_fixed(schedule, zone, after),
        }
    }
}

impl std::fmt::Display for Cadence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(interval) => write!(f, "every {}", duration::format(*interval)),
            Self::Cron { expression, zone, .. } => match zone.iana_name() {
                Some("UTC") | None => f.write_str(expression),
                Some(name) => write!(f, "{expression} {name}"),
            },
        }
    }
}

fn next_by_clock(schedule: &cron::Schedule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
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
    // Times fall on instants in their own order: what is due after `after` is later on the wall clock too.
    let mut wall = zone.to_datetime(after);
    loop {
        wall = wall_next(schedule, wall)?;
        match zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => return offset.to_timestamp(wall).ok(),
            AmbiguousOffset::Gap { after: new, .. } => {
                return Some(zone.following(new.to_timestamp(wall).ok()?).next()?.timestamp());
            }
            AmbiguousOffset::Fold { before, .. } => {
                let due = before.to_timestamp(wall).ok()?;
                if due > after {
                    return Some(due);
                }
                // `after` is in the second pass of a time that comes twice. Continue where the clock shows
                // new times.
                let change = zone.preceding(after + 1.nanosecond()).next()?;
                wall = wall.max(before.to_datetime(change.timestamp()) - 1.second());
            }
        }
    }
}

/// The next matching wall-clock time. The `cron` crate gets it as if it were UTC, which has no gaps and no
/// repeats.
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

    #[test]
    fn an_interval_is_due_at_its_multiples() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let every = Cadence::Every(Duration::from_secs(90));
        assert_eq!(every.next_after(at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T00:01:30Z")));
        assert_eq!(every.next_after(at("2026-01-01T00:01:30Z")), Some(at("2026-01-01T00:03:00Z")));
    }

    #[test]
    fn a_list_of_fixed_times_is_due_at_each_of_them_over_both_changes() {
        // 2027-03-28 and 2027-10-31 in Berlin.
        let due = after("30 2,14 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", 4);
        assert_eq!(due, ["27 14:30+01:00", "28 03:00+02:00", "28 14:30+02:00", "29 02:30+02:00"]);
        let due = after("15,45 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", 3);
        assert_eq!(due, ["31 02:15+02:00", "31 02:45+02:00", "01 02:15+01:00"]);
    }

    /// With 3600 times an hour, what was due an hour ago must not be counted through again at each step.
    #[test]
    fn many_fixed_times_are_passed_over_quickly_where_the_clock_shows_them_again() {
        let cadence = Cadence::cron("0-59 0-59 2 * * *", zone("Europe/Berlin")).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for second_pass in ["2027-10-31T01:00:00Z", "2027-10-31T01:30:00.5Z", "2027-10-31T01:59:59Z"] {
            assert_eq!(
                cadence.next_after(at(second_pass)),
                Some(at("2027-11-01T01:00:00Z")),
                "{second_pass}"
            );
        }
        assert_eq!(cadence.next_after(at("2027-10-31T00:59:59Z")), Some(at("2027-11-01T01:00:00Z")));
    }

    #[test]
    fn a_zone_in_front_of_an_expression_is_its_zone() {
        for prefix in ["CRON_TZ", "TZ"] {
            let text = format!("{prefix}=Europe/Berlin 30 2 * * *");
            let cadence = Cadence::cron(&text, TimeZone::UTC).unwrap();
            assert_eq!(cadence.to_string(), "30 2 * * * Europe/Berlin");
            let at: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
            assert_eq!(cadence.next_after(at), Some("2026-06-01T00:30:00Z".parse().unwrap()));
        }
    }

    #[test]
    fn days_that_are_restricted_twice_are_noted() {
        let note = |text: &str| Cadence::cron(text, TimeZone::UTC).unwrap().note().is_some();
        assert!(note("0 0 13 * FRI") && note("0 0 1,15 * MON-FRI"));
        assert!(!note("0 0 13 * *") && !note("0 0 * * FRI") && !note("0 0 */2 * FRI") && !note("@weekly"));
        // Friday the 13th only.
        let due = after("0 0 13 * FRI", "UTC", "2026-01-01T00:00:00Z", 3);
        assert_eq!(due, ["13 00:00+00:00", "13 00:00+00:00", "13 00:00+00:00"]);
    }
}
