//! Cron expressions as people write them: parsed and checked here, so that an error names the field, the
//! value and what to write instead. The `cron` crate then gets each field as a plain list of numbers.
//!
//! A field is a list of values, ranges and steps, separated by commas:
//! - `*`, `*/15`: every value, every fifteenth;
//! - `5`, `MON`, `january`: one value; names are those of months and weekdays, in any case;
//! - `9-17`, `9-17/2`, `MON-FRI`: a range, and every second value of it. A range may wrap: `22-2`, `FRI-MON`;
//! - `5/15`: the same as `5-59/15`.
//!
//! Weekdays are names, since cron dialects do not agree on their numbers. Refused are `L`, `W`, `#` and `?`,
//! which mean different things in different dialects.

use std::str::FromStr;

use jiff::tz::TimeZone;

/// Sixty values in each field fit.
const MAX_BYTES: usize = 1000;
/// How much of a refused value an error shows.
const SHOWN_CHARS: usize = 40;
const EXAMPLE: &str =
    "write five (minute hour day month weekday) or six (second first), such as \"0 3 * * *\"";

/// A cron expression that is valid.
pub(super) struct Expression {
    pub(super) schedule: cron::Schedule,
    /// Whether second, minute or hour begins with `*`.
    pub(super) repeats: bool,
    /// Whether neither day of month nor weekday begins with `*`.
    pub(super) restricts_both_days: bool,
}

struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    max_step: u8,
    /// Of the first values, in their order; the first three letters are a name too.
    names: &'static [&'static str],
    /// What is right.
    advice: &'static str,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const DAY_OF_MONTH: usize = 3;
const WEEKDAY: usize = 5;

const FIELDS: [Field; 6] = [
    number("second", 0, 59, "write a number from 0 to 59"),
    number("minute", 0, 59, "write a number from 0 to 59"),
    number("hour", 0, 23, "write a number from 0 to 23; midnight is 0"),
    number("day of month", 1, 31, "write a number from 1 to 31"),
    Field {
        names: &MONTHS,
        ..number("month", 1, 12, "write a number from 1 to 12 or a name from JAN to DEC")
    },
    Field {
        names: &WEEKDAYS,
        max_step: 7,
        ..number("weekday", 0, 6, "write a name from SUN to SAT, or a range such as MON-FRI")
    },
];

const fn number(name: &'static str, min: u8, max: u8, advice: &'static str) -> Field {
    Field { name, min, max, max_step: max, names: &[], advice }
}

/// The zone that stands in front of an expression as `CRON_TZ=Europe/Berlin` or `TZ=…`, and the rest.
pub(super) fn split_zone(text: &str) -> Result<(Option<TimeZone>, &str), String> {
    if text.len() > MAX_BYTES {
        return Err(format!("has {} bytes; an expression has at most {MAX_BYTES}", text.len()));
    }
    let trimmed = text.trim_start();
    let Some(rest) = trimmed.strip_prefix("CRON_TZ=").or_else(|| trimmed.strip_prefix("TZ=")) else {
        return Ok((None, text));
    };
    let (name, fields) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let zone = TimeZone::get(name).map_err(|_| {
        format!(
            "timezone `{}` does not exist; write an IANA name, such as CRON_TZ=Europe/Berlin",
            shown(name)
        )
    })?;
    Ok((Some(zone), fields.trim()))
}

/// Parses the fields of an expression, or a name such as `@daily`. The error says what is wrong and what to
/// write.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("has {} bytes; an expression has at most {MAX_BYTES}", text.len()));
    }
    let named = text.trim().strip_prefix('@').map(expand).transpose()?;
    let fields: Vec<&str> = named.unwrap_or(text).split_whitespace().collect();
    let fields: [&str; 6] = match *fields.as_slice() {
        [minute, hour, day, month, weekday] => ["0", minute, hour, day, month, weekday],
        [second, minute, hour, day, month, weekday] => [second, minute, hour, day, month, weekday],
        [_, _, _, _, _, _, _] => return Err(format!("has 7 fields, and a year is not supported; {EXAMPLE}")),
        _ => return Err(format!("has {} fields; {EXAMPLE}", fields.len())),
    };
    let mut lists = Vec::with_capacity(fields.len());
    for (field, text) in FIELDS.iter().zip(fields) {
        lists.push(field.list(field.parse(text)?));
    }
    let schedule = cron::Schedule::from_str(&lists.join(" "))
        .map_err(|_| format!("is not a cron expression; {EXAMPLE}"))?;
    Ok(Expression {
        schedule,
        repeats: fields[..DAY_OF_MONTH].iter().any(|field| field.starts_with('*')),
        restricts_both_days: [DAY_OF_MONTH, WEEKDAY].iter().all(|field| !fields[*field].starts_with('*')),
    })
}

fn expand(name: &str) -> Result<&'static str, String> {
    match name.to_ascii_lowercase().as_str() {
        "hourly" => Ok("0 * * * *"),
        "daily" | "midnight" => Ok("0 0 * * *"),
        "weekly" => Ok("0 0 * * SUN"),
        "monthly" => Ok("0 0 1 * *"),
        "yearly" | "annually" => Ok("0 0 1 1 *"),
        "reboot" => Err("`@reboot` is not a time; write one, such as @daily, and run_at_start = true \
                         to run the job also when the schedule starts"
            .to_owned()),
        name if name.starts_with("every") => {
            Err("`@every` is not supported; write every = \"5m\" instead of cron".to_owned())
        }
        _ => Err(format!(
            "`@{}` is not supported; write @hourly, @daily, @midnight, @weekly, @monthly, @yearly or \
            @annually",
            shown(name)
        )),
    }
}

impl Field {
    /// The values of a field, as bits.
    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut values = 0;
        for element in text.split(',') {
            if let Some(advice) = self.unsupported(element) {
                return Err(self.error(element, &advice));
            }
            values |= self.parse_element(element)?;
        }
        Ok(values)
    }

    fn parse_element(&self, element: &str) -> Result<u64, String> {
        let (range, step) = match element.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (element, None),
        };
        let (first, last) = if range == "*" {
            (self.min, self.max)
        } else if let Some((first, last)) = range.split_once('-') {
            (self.value(element, first)?, self.value(element, last)?)
        } else {
            let value = self.value(element, range)?;
            if step.is_some() && !range.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(self.error(element, "a step needs a range, such as MON-FRI/2"));
            }
            (value, if step.is_some() { self.max } else { value })
        };
        let step = step.map_or(Ok(1), |step| self.step(element, range, step))?;
        // A range that wraps goes on after the highest value as if there were more.
        let count = self.max - self.min + 1;
        let last = if last < first { last + count } else { last };
        let values = (first..=last).step_by(step).map(|n| if n > self.max { n - count } else { n });
        Ok(values.fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, element: &str, text: &str) -> Result<u8, String> {
        let lower = text.to_lowercase();
        let named =
            self.names.iter().position(|name| lower == *name || (lower.len() >= 3 && lower == name[..3]));
        let named = named.or(match lower.as_str() {
            "tues" if self.max == 6 => Some(2),
            "thurs" if self.max == 6 => Some(4),
            _ => None,
        });
        if let Some(position) = named {
            return Ok(self.min + u8::try_from(position).unwrap_or_default());
        }
        if !self.names.is_empty() && self.min == 0 && text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!(
                "{} `{}` is a number, which cron dialects read differently; write MON-FRI or SUN",
                self.name,
                shown(element)
            ));
        }
        if !text.is_ascii() && text.chars().all(char::is_numeric) {
            return Err(self.error(element, &format!("{}, in the digits 0 to 9", self.advice)));
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = is_number.then(|| text.parse().ok()).flatten();
        value
            .filter(|value| (self.min..=self.max).contains(value))
            .ok_or_else(|| self.error(element, self.advice))
    }

    fn step(&self, element: &str, range: &str, text: &str) -> Result<usize, String> {
        let number: Option<u32> =
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match number {
            Some(step) if (1..=u32::from(self.max_step)).contains(&step) => Ok(step as usize),
            Some(step) if step > 0 && range == "*" && matches!(self.name, "second" | "minute" | "hour") => {
                let unit = &self.name[..1];
                let advice = format!(
                    "write a step from 1 to {}, or every = \"{step}{unit}\" instead of cron",
                    self.max_step
                );
                Err(self.error(element, &advice))
            }
            _ => Err(self.error(element, &format!("write a step from 1 to {}, such as */2", self.max_step))),
        }
    }

    /// What to write instead of a character that other dialects have.
    fn unsupported(&self, element: &str) -> Option<String> {
        let upper = element.to_uppercase();
        if upper.contains('?') {
            return Some("`?` is not supported; write `*`".to_owned());
        }
        if let Some((day, number)) = upper.split_once('#') {
            let first = number.parse().ok().filter(|n| (1..=4).contains(n)).map_or(1, |n: u8| n * 7 - 6);
            let day = if self.value(element, day).is_ok() { day } else { "MON" };
            return Some(format!(
                "`#` is not supported; write the weekday {day} and the days of month {first}-{}, which \
                must both match",
                first + 6
            ));
        }
        match self.name {
            "day of month" if upper.contains('W') => {
                Some("`W` is not supported; write a number from 1 to 31, or the weekday MON-FRI".to_owned())
            }
            "day of month" if upper.contains('L') => {
                Some("`L` is not supported; write a number up to 28, which every month has".to_owned())
            }
            "weekday" if upper.ends_with('L') => Some(
                "`L` is not supported; for the fourth of a month write the weekday and the days of \
                month 22-28, which must both match"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn error(&self, element: &str, advice: &str) -> String {
        format!("{} `{}`: {advice}", self.name, shown(element))
    }

    /// As the `cron` crate reads it. It counts weekdays from 1, which is Sunday.
    fn list(&self, values: u64) -> String {
        let offset = u8::from(self.name == FIELDS[WEEKDAY].name);
        let listed: Vec<String> = (self.min..=self.max)
            .filter(|value| values & (1 << value) != 0)
            .map(|value| (value + offset).to_string())
            .collect();
        if listed.len() == usize::from(self.max - self.min) + 1 { "*".to_owned() } else { listed.join(",") }
    }
}

/// A value that can be shown in one line.
pub(super) fn shown(text: &str) -> String {
    let visible: String = text.chars().take(SHOWN_CHARS).filter(|c| !c.is_control()).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() { visible + "…" } else { visible }
}

#[cfg(test)]
mod tests;
