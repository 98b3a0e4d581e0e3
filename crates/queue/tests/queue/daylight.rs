//! Twenty years of cron expressions in zones of many kinds, compared with a walk that looks at every single minute.
//!
//! The walk knows nothing of how times are computed. It goes from minute to minute in UTC, reads the local clock and
//! applies the two rules as they are written down: what repeats is due whenever the local time matches; what has a
//! fixed time is due once a day, at the first minute that shows it, or when that was skipped, right after the gap.

use dogwatch_queue::scheduler::Cadence;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// An expression, and what it says, read by hand.
struct Rule {
    expression: &'static str,
    /// A fixed hour and minute, or what repeats.
    time: Time,
    day: fn(Date) -> bool,
}

enum Time {
    Fixed(i8, i8),
    Repeats(fn(i8, i8) -> bool),
}

const RULES: [Rule; 7] = [
    Rule { expression: "30 2 * * *", time: Time::Fixed(2, 30), day: |_| true },
    Rule { expression: "0 0 * * *", time: Time::Fixed(0, 0), day: |_| true },
    Rule {
        expression: "15 1 * * SUN",
        time: Time::Fixed(1, 15),
        day: |date| date.weekday() == Weekday::Sunday,
    },
    Rule { expression: "45 2 31 * *", time: Time::Fixed(2, 45), day: |date| date.day() == 31 },
    Rule { expression: "17 */3 * * *", time: Time::Repeats(|h, m| h % 3 == 0 && m == 17), day: |_| true },
    Rule {
        expression: "10,50 2 * * *",
        time: Time::Repeats(|h, m| h == 2 && (m == 10 || m == 50)),
        day: |_| true,
    },
    Rule {
        expression: "0 1-3 * 3,10,11 *",
        time: Time::Repeats(|h, m| (1..=3).contains(&h) && m == 0),
        day: |date| [3, 10, 11].contains(&date.month()),
    },
];

/// The minutes of an hour that any rule speaks of; at all others nothing is due, unless the clock jumps.
const MINUTES: [i8; 7] = [0, 10, 15, 17, 30, 45, 50];

/// Every minute from one time to another, with the local clock.
fn minutes(zone: &TimeZone, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Timestamp, DateTime)> {
    let mut change = zone.following(from).next();
    let mut offset = zone.to_offset(from);
    let mut at = from;
    std::iter::from_fn(move || {
        let now = at;
        if now >= to {
            return None;
        }
        if change.as_ref().is_some_and(|change| change.timestamp() <= now) {
            offset = zone.to_offset(now);
            change = zone.following(now).next();
        }
        at = now + 1.minute();
        Some((now, offset.to_datetime(now)))
    })
}

/// The minutes at which each rule is due.
fn walk(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Vec<Timestamp>> {
    let mut due = vec![Vec::new(); RULES.len()];
    let mut last_day = vec![Date::ZERO; RULES.len()];
    let mut before: Option<DateTime> = None;
    for (at, local) in minutes(zone, from, to) {
        let goes_on =
            before.is_some_and(|before| i32::from(local.minute()) == (i32::from(before.minute()) + 1) % 60);
        if goes_on && !MINUTES.contains(&local.minute()) {
            before = Some(local);
            continue;
        }
        for (rule, (due, last_day)) in RULES.iter().zip(due.iter_mut().zip(&mut last_day)) {
            match rule.time {
                Time::Repeats(matches) => {
                    if matches(local.hour(), local.minute()) && (rule.day)(local.date()) {
                        due.push(at);
                    }
                }
                Time::Fixed(hour, minute) => {
                    // Shown now, or jumped over since the minute before; a gap may reach over midnight.
                    let mut is_due = |date: Date| {
                        let wanted = date.at(hour, minute, 0, 0);
                        let skipped = before.is_some_and(|before| before < wanted && wanted < local);
                        if (local == wanted || skipped) && *last_day < date && (rule.day)(date) {
                            *last_day = date;
                            due.push(at);
                        }
                    };
                    if before.is_some_and(|before| before.date() != local.date()) {
                        is_due(before.unwrap_or(local).date());
                    }
                    is_due(local.date());
                }
            }
        }
        before = Some(local);
    }
    due
}

fn compare(name: &str) {
    let zone = TimeZone::get(name).unwrap();
    let (from, to): (Timestamp, Timestamp) =
        ("2016-01-01T12:00:00Z".parse().unwrap(), "2036-01-01T12:00:00Z".parse().unwrap());
    for (rule, expected) in RULES.iter().zip(walk(&zone, from, to)) {
        let cadence = Cadence::cron(rule.expression, zone.clone()).unwrap();
        let mut at = from - 1.second();
        for expected in expected {
            at = cadence.next_after(at).unwrap();
            assert_eq!(at, expected, "`{}` in {name}", rule.expression);
        }
        assert!(cadence.next_after(at).unwrap() >= to, "`{}` in {name} after {at}", rule.expression);
    }
}

#[test]
fn in_berlin_as_in_most_zones() {
    compare("Europe/Berlin");
}

#[test]
fn on_lord_howe_where_the_change_is_half_an_hour() {
    compare("Australia/Lord_Howe");
}

#[test]
fn in_sao_paulo_where_midnight_was_skipped() {
    compare("America/Sao_Paulo");
}

#[test]
fn in_casablanca_where_the_clock_goes_back_for_a_month() {
    compare("Africa/Casablanca");
}

#[test]
fn in_apia_and_in_new_york() {
    compare("Pacific/Apia");
    compare("America/New_York");
}
