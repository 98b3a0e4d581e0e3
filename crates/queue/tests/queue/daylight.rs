//! Cron expressions over changes of daylight-saving time, compared with three others that do not know our
//! rule: a table written by hand, a model of Debian's cron, and the crate `croner`.

use std::collections::BTreeSet;

use dogwatch_queue::scheduler::{Cadence, upcoming};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::daylight_table::BY_HAND;
use crate::debian_cron::{self, Entry};

const ZONES: [&str; 5] =
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana"];
const WITHOUT_CHANGES: [&str; 2] = ["America/Sao_Paulo", "Asia/Kolkata"];

/// Expressions, and whether croner reads them as Debian's cron does: it repeats whatever has several times a
/// day.
const EXPRESSIONS: [(&str, bool); 18] = [
    ("30 2 * * *", true),
    ("0 0 * * *", true),
    ("15 1 * * SUN", true),
    ("30 * * * *", true),
    ("*/20 * * * *", true),
    ("*/15 2 * * *", true),
    ("0 */6 * * *", true),
    ("*/30 0-3 * * *", true),
    ("0 9 * * MON-FRI", true),
    ("30 2,14 * * *", false),
    ("30 1,13 * * *", false),
    ("15,45 2 * * *", false),
    ("15,45 1 * * *", false),
    ("0 0,12 * * *", false),
    ("0 1-3 * * *", false),
    ("10-50/20 2 * * *", false),
    ("0,30 0-3 * * *", false),
    ("0 0-23 * * *", false),
];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn cadence(expression: &str, zone: &TimeZone) -> Cadence {
    Cadence::cron(expression, zone.clone()).unwrap()
}

fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%m-%d %H:%M%:z").to_string()
}

/// The changes of a zone in 2026 to 2028.
fn changes(zone: &TimeZone) -> Vec<Timestamp> {
    let (from, to): (Timestamp, Timestamp) =
        ("2026-01-01T00:00:00Z".parse().unwrap(), "2029-01-01T00:00:00Z".parse().unwrap());
    zone.following(from).map(|change| change.timestamp()).take_while(|at| *at < to).collect()
}

/// What `dogwatch schedules next` lists, in `[from, to)`.
fn ours(cadence: &Cadence, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut times = Vec::new();
    let mut at = from - 1.second();
    loop {
        for next in upcoming(cadence, at, 1000) {
            if next >= to {
                return times;
            }
            times.push(next);
        }
        at = *times.last().unwrap();
    }
}

fn croner(expression: &str, zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let cron: croner::Cron = expression.parse().unwrap();
    let times = cron.iter_from((from - 1.second()).to_zoned(zone.clone()), croner::Direction::Forward);
    times.map(|at| at.timestamp()).skip_while(|at| *at < from).take_while(|at| *at < to).collect()
}

fn once(mut times: Vec<Timestamp>) -> Vec<Timestamp> {
    times.dedup();
    times
}

#[test]
fn schedules_are_due_as_a_table_by_hand_says() {
    for (expression, name, day, expected, merged) in BY_HAND {
        let zone = zone(name);
        let from = day.parse::<Date>().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
        let times = upcoming(&cadence(expression, &zone), from - 1.second(), expected.len());
        let shown: Vec<String> = times.iter().map(|at| local(*at, &zone)).collect();
        assert_eq!(shown, expected, "`{expression}` in {name}");
        // The model starts a day earlier, so that the change is not its first minute.
        let to = *times.last().unwrap() + 1.second();
        let entry = [Entry::parse(expression)];
        let mut starts = debian_cron::starts(&entry, &zone, from - 24.hours(), to + 1.minute()).remove(0);
        starts.retain(|at| *at >= from);
        assert_eq!(starts.len(), expected.len() + merged, "`{expression}` in {name}");
        assert_eq!(once(starts), times, "`{expression}` in {name}");
    }
}

/// Prints what differs, as a table.
#[test]
fn two_weeks_around_every_change_of_three_years_are_those_of_debians_cron() {
    println!("| zone | change | expression | runs | Debian's cron | croner |\n|---|---|---|---|---|---|");
    let mut windows = 0;
    for name in ZONES.into_iter().chain(WITHOUT_CHANGES) {
        let zone = zone(name);
        let mut changes = changes(&zone);
        if WITHOUT_CHANGES.contains(&name) {
            assert!(changes.is_empty(), "{name}");
            changes.push("2027-03-28T01:00:00Z".parse().unwrap());
        }
        let entries: Vec<Entry> = EXPRESSIONS.iter().map(|(text, _)| Entry::parse(text)).collect();
        for change in changes {
            windows += 1;
            let (from, to) = (change - 168.hours(), change + 168.hours());
            let debian = debian_cron::starts(&entries, &zone, from, to);
            for ((expression, is_same), debian) in EXPRESSIONS.into_iter().zip(debian) {
                let ours = ours(&cadence(expression, &zone), from, to);
                let croner = croner(expression, &zone, from, to);
                let place = format!("`{expression}` in {name} around {change}");
                if is_same {
                    assert_eq!(ours, croner, "{place}");
                }
                let row = [difference(&ours, &debian, &zone), difference(&ours, &croner, &zone)];
                assert_eq!(ours, once(debian), "{place}");
                if row.iter().any(|text| text != "same") {
                    let change = change.to_zoned(zone.clone()).date();
                    println!(
                        "| {name} | {change} | `{expression}` | {} | {} | {} |",
                        ours.len(),
                        row[0],
                        row[1]
                    );
                }
            }
        }
    }
    assert_eq!(windows, ZONES.len() * 6 + WITHOUT_CHANGES.len());
}

/// How another list of times differs from ours.
fn difference(ours: &[Timestamp], theirs: &[Timestamp], zone: &TimeZone) -> String {
    let (set, their_set): (BTreeSet<_>, BTreeSet<_>) = (ours.iter().collect(), theirs.iter().collect());
    let mut words: Vec<String> =
        their_set.difference(&set).map(|at| format!("also {}", local(**at, zone))).collect();
    words.extend(set.difference(&their_set).map(|at| format!("not {}", local(**at, zone))));
    for at in &their_set {
        let times = theirs.iter().filter(|other| other == at).count();
        if times > 1 {
            words.push(format!("{times} times at {}", local(**at, zone)));
        }
    }
    if words.is_empty() { "same".to_owned() } else { words.join(", ") }
}

/// Fixed times as lists of hours and minutes.
const FIXED: [(&str, &[(i8, i8)]); 5] = [
    ("30 2,14 * * *", &[(2, 30), (14, 30)]),
    ("15,45 1,2 * * *", &[(1, 15), (1, 45), (2, 15), (2, 45)]),
    ("0 0,12 * * *", &[(0, 0), (12, 0)]),
    ("0 22-2 * * *", &[(0, 0), (1, 0), (2, 0), (22, 0), (23, 0)]),
    ("10-50/20 0 * * *", &[(0, 10), (0, 30), (0, 50)]),
];

#[test]
fn a_fixed_time_has_one_run_on_each_day_and_no_two_share_an_instant() {
    for name in ZONES {
        let zone = zone(name);
        for change in changes(&zone) {
            let first = change.to_zoned(zone.clone()).date() - 3.days();
            let at = |date: Date| date.to_zoned(zone.clone()).unwrap().timestamp();
            let (from, to) = (at(first), at(first + 7.days()));
            for (expression, times) in FIXED {
                let runs = ours(&cadence(expression, &zone), from, to);
                let place = format!("`{expression}` in {name} around {change}");
                assert!(runs.is_sorted_by(|a, b| a < b), "{place}: {runs:?}");
                let expected: BTreeSet<Timestamp> = (0..7)
                    .flat_map(|day| times.iter().map(move |(hour, minute)| (day, *hour, *minute)))
                    .map(|(day, hour, minute)| {
                        fixed((first + day.days()).at(hour, minute, 0, 0), change, &zone)
                    })
                    .collect();
                assert_eq!(runs, Vec::from_iter(expected), "{place}");
            }
            for (expression, _) in EXPRESSIONS {
                let runs = ours(&cadence(expression, &zone), from, to);
                assert!(runs.is_sorted_by(|a, b| a < b), "`{expression}` in {name} around {change}");
            }
        }
    }
}

/// The first instant with this local time, or the change that skips it.
fn fixed(time: DateTime, change: Timestamp, zone: &TimeZone) -> Timestamp {
    let at = time.to_zoned(zone.clone()).unwrap();
    if at.datetime() == time { at.timestamp() } else { change }
}

/// Twenty years, minute by minute.
fn compare(name: &str) {
    let zone = zone(name);
    let (from, to): (Timestamp, Timestamp) =
        ("2016-01-01T12:00:00Z".parse().unwrap(), "2036-01-01T12:00:00Z".parse().unwrap());
    let expressions = [
        "30 2 * * *",
        "0 0 * * *",
        "15 1 * * SUN",
        "45 2 31 * *",
        "17 */3 * * *",
        "10,50 2 * * *",
        "0 1-3 * 3,10,11 *",
    ];
    let entries = expressions.map(Entry::parse);
    for (expression, debian) in expressions.iter().zip(debian_cron::starts(&entries, &zone, from, to)) {
        assert_eq!(ours(&cadence(expression, &zone), from, to), once(debian), "`{expression}` in {name}");
    }
}

#[test]
fn twenty_years_in_berlin_as_in_most_zones() {
    compare("Europe/Berlin");
}

#[test]
fn twenty_years_on_lord_howe_where_the_change_is_half_an_hour() {
    compare("Australia/Lord_Howe");
}

#[test]
fn twenty_years_in_sao_paulo_where_midnight_was_skipped() {
    compare("America/Sao_Paulo");
}

#[test]
fn twenty_years_in_casablanca_where_the_clock_goes_back_for_a_month() {
    compare("Africa/Casablanca");
}

#[test]
fn twenty_years_in_apia_and_in_new_york() {
    compare("Pacific/Apia");
    compare("America/New_York");
}
