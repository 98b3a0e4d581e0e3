//! Hours of a day that come again: from ten in the evening to seven in the morning, on some days, in some zone. A time
//! after midnight belongs to the day on which the hours began.

use chrono::{DateTime, Utc};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Deserializer, de::Error};

/// Hours of a day, in settings.
#[derive(Clone, Debug, Deserialize)]
pub struct Timetable {
    #[serde(deserialize_with = "time")]
    from: Time,
    #[serde(deserialize_with = "time")]
    until: Time,
    /// All days where it is absent.
    #[serde(default, deserialize_with = "weekdays")]
    days: Option<Vec<Weekday>>,
    #[serde(default = "utc", deserialize_with = "zone")]
    timezone: TimeZone,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn utc() -> TimeZone {
    TimeZone::UTC
}

fn time<'de, D: Deserializer<'de>>(value: D) -> Result<Time, D::Error> {
    let text = String::deserialize(value)?;
    text.parse()
        .map_err(|_| D::Error::custom(format!("`{text}` is no time of day; write one such as \"22:00\"")))
}

fn weekdays<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<Weekday>>, D::Error> {
    let words = Vec::<String>::deserialize(value)?;
    let day = |word: &String| {
        let found = DAYS.iter().find(|(name, _)| name == word).map(|(_, day)| *day);
        found.ok_or_else(|| {
            D::Error::custom(format!("`{word}` is no day; write mon, tue, wed, thu, fri, sat or sun"))
        })
    };
    words.iter().map(day).collect::<Result<_, _>>().map(Some)
}

fn zone<'de, D: Deserializer<'de>>(value: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(value)?;
    TimeZone::get(&name).map_err(|_| {
        D::Error::custom(format!("`{name}` is no time zone; write one such as \"Europe/Berlin\""))
    })
}

impl Timetable {
    /// When the hours end that `now` is in; `None` outside of them.
    pub(crate) fn ends_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let now = Timestamp::from_millisecond(now.timestamp_millis()).ok()?.to_zoned(self.timezone.clone());
        let begins = [now.date().yesterday().ok()?, now.date()];
        begins
            .into_iter()
            .filter(|day| self.days.as_ref().is_none_or(|days| days.contains(&day.weekday())))
            .find_map(|day| {
                let last = if self.until <= self.from { day.tomorrow().ok()? } else { day };
                // Of a time that a change of the clocks skips or repeats, jiff takes the one that is meant.
                let begin = day.to_datetime(self.from).to_zoned(self.timezone.clone()).ok()?;
                let end = last.to_datetime(self.until).to_zoned(self.timezone.clone()).ok()?;
                (begin <= now && now < end).then(|| utc_of(&end))?
            })
    }
}

fn utc_of(time: &Zoned) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(time.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(table: &str, now: &str) -> Option<String> {
        let table: Timetable = toml::from_str(table).unwrap();
        table.ends_at(now.parse().unwrap()).map(|end| end.to_rfc3339())
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
        let night = "from = '22:00'\nuntil = '07:00'\ndays = ['fri']";
        // 2026-11-27 is a Friday.
        assert_eq!(ends(night, "2026-11-27T21:59:59Z"), None);
        assert_eq!(ends(night, "2026-11-27T22:00:00Z").unwrap(), "2026-11-28T07:00:00+00:00");
        assert_eq!(ends(night, "2026-11-28T06:59:59Z").unwrap(), "2026-11-28T07:00:00+00:00");
        assert_eq!(ends(night, "2026-11-28T07:00:00Z"), None);
        assert_eq!(ends(night, "2026-11-28T23:00:00Z"), None);
    }

    #[test]
    fn hours_are_those_of_the_zone_over_a_change_of_the_clocks() {
        let night = "from = '01:00'\nuntil = '04:00'\ntimezone = 'Europe/Berlin'";
        // The clocks go back at 03:00 on 2026-10-25: four hours.
        assert_eq!(ends(night, "2026-10-24T23:00:00Z").unwrap(), "2026-10-25T03:00:00+00:00");
        assert_eq!(ends(night, "2026-10-25T02:59:00Z").unwrap(), "2026-10-25T03:00:00+00:00");
        assert_eq!(ends(night, "2026-10-25T03:00:00Z"), None);
    }

    #[test]
    fn what_is_no_time_day_or_zone_is_told() {
        for (text, told) in [
            ("from = '25:00'\nuntil = '07:00'", "no time of day"),
            ("from = '22:00'\nuntil = '07:00'\ndays = ['friday']", "mon, tue"),
            ("from = '22:00'\nuntil = '07:00'\ntimezone = 'Berlin'", "Europe/Berlin"),
        ] {
            assert!(toml::from_str::<Timetable>(text).unwrap_err().message().contains(told), "{text}");
        }
    }
}
