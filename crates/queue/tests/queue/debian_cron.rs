//! A model of Debian's cron: which entries it starts in each minute, computed as that program does it.
//!
//! It knows nothing of how schedules are computed. It wakes up in every minute, reads the local clock and
//! compares it with a virtual clock, on which no minute is missing. A jump of the local clock by up to three
//! hours is a change of daylight-saving time: entries whose minute or hour begins with `*` follow the local
//! clock, all others follow the virtual one, which catches up after a jump forward and stands still after a
//! jump back.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A line of a crontab, without its command.
pub(crate) struct Entry {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    is_wild: bool,
    takes_either_day: bool,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const THREE_HOURS: i64 = 180;

impl Entry {
    pub(crate) fn parse(text: &str) -> Self {
        let fields: Vec<&str> = text.split(' ').collect();
        let [minute, hour, day, month, weekday] = fields[..] else { panic!("`{text}` has not five fields") };
        Self {
            minutes: bits(minute, 0, 59, &[]),
            hours: bits(hour, 0, 23, &[]),
            days: bits(day, 1, 31, &[]),
            months: bits(month, 1, 12, &MONTHS),
            weekdays: bits(weekday, 0, 6, &WEEKDAYS),
            is_wild: minute.starts_with('*') || hour.starts_with('*'),
            takes_either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        }
    }

    /// Whether it matches a minute of a clock, counted from 1970.
    fn matches(&self, minute: i64) -> bool {
        let has = |bits: u64, value: i64| bits & (1 << value) != 0;
        if !has(self.minutes, minute.rem_euclid(60)) || !has(self.hours, minute.div_euclid(60).rem_euclid(24))
        {
            return false;
        }
        let date = Date::constant(1970, 1, 1) + minute.div_euclid(60 * 24).days();
        let day = has(self.days, date.day().into());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset().into());
        let fits = if self.takes_either_day { day || weekday } else { day && weekday };
        fits && has(self.months, date.month().into())
    }
}

fn bits(text: &str, min: u32, max: u32, names: &[&str]) -> u64 {
    let value = |text: &str| {
        let by_name = names.iter().position(|name| *name == text).map(|at| min + u32::try_from(at).unwrap());
        by_name.unwrap_or_else(|| text.parse().unwrap())
    };
    let element = |text: &str| {
        let (range, step) = text.split_once('/').unwrap_or((text, "1"));
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (value(first), value(last)),
            None if range == "*" => (min, max),
            None => (value(range), value(range)),
        };
        (first..=last).step_by(step.parse().unwrap()).fold(0, |bits, value| bits | 1 << value)
    };
    text.split(',').fold(0, |bits, text| bits | element(text))
}

/// The minutes in which each entry is started; twice where it is started twice.
pub(crate) fn starts(
    entries: &[Entry],
    zone: &TimeZone,
    from: Timestamp,
    to: Timestamp,
) -> Vec<Vec<Timestamp>> {
    let mut starts = vec![Vec::new(); entries.len()];
    let mut change = zone.following(from).next();
    let mut offset = i64::from(zone.to_offset(from).seconds()) / 60;
    let first = from.as_second() / 60;
    let mut virtual_clock = first + offset - 1;
    for minute in first..to.as_second() / 60 {
        if let Some(next) = change.as_ref().filter(|change| change.timestamp().as_second() <= minute * 60) {
            offset = i64::from(next.offset().seconds()) / 60;
            change = zone.following(next.timestamp()).next();
        }
        let clock = minute + offset;
        let mut start = |clock: i64, wild: bool, fixed: bool| {
            for (entry, starts) in entries.iter().zip(&mut starts) {
                if (if entry.is_wild { wild } else { fixed }) && entry.matches(clock) {
                    starts.push(Timestamp::from_second(minute * 60).unwrap());
                }
            }
        };
        match clock - virtual_clock {
            1 => {
                virtual_clock = clock;
                start(clock, true, true);
            }
            jump if jump.abs() > THREE_HOURS => {
                virtual_clock = clock;
                start(clock, true, true);
            }
            jump => {
                start(clock, true, false);
                if jump > 0 {
                    for skipped in virtual_clock + 1..=clock {
                        start(skipped, false, true);
                    }
                    virtual_clock = clock;
                }
            }
        }
    }
    starts
}
