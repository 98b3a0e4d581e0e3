//! schedules.toml: which job runs when.
//!
//! A file is taken as a whole or not at all. An error names file, line, the value and what would be right.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use dogwatch_runtime::duration;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use super::cadence::Cadence;
use super::expression;
use crate::keys::check_name;
use crate::new_job::NewJob;
use crate::registry::Catalog;

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// All schedules of a file, by name.
#[derive(Clone, Debug, Default)]
pub struct Schedules(Vec<Schedule>);

/// One schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When it is due.
    pub cadence: Cadence,
    /// The job it enqueues.
    pub job: String,
    /// Where to.
    pub queue: String,
    /// With which arguments.
    pub args: Map<String, Value>,
    /// What happens with times that were missed.
    pub misfire: Misfire,
    /// What happens while the previous run has not ended.
    pub overlap: Overlap,
    /// A random delay of up to this long.
    pub jitter: Duration,
    /// Whether it is in force.
    pub enabled: bool,
    /// Whether it is enqueued once when it is in force for the first time, beside its times.
    pub run_at_start: bool,
    /// Attempts allowed. Absent: the job's own.
    pub max_attempts: Option<u32>,
    /// When an attempt is stopped. Absent: the job's own.
    pub timeout: Option<Duration>,
}

/// What happens with times that were missed while no scheduler ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// They are passed over.
    Skip,
    /// All together are one run.
    #[default]
    Once,
    /// Each is run; at most the last hundred within a day.
    All,
}

/// What happens at a time due while the previous run has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The time is passed over.
    #[default]
    Skip,
    /// It is enqueued all the same.
    Allow,
}

impl Overlap {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Allow => "allow",
        }
    }
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct FileError {
    /// File, and line where there is one.
    pub place: String,
    /// The value, and what would be right.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    timezone: Option<Spanned<String>>,
    #[serde(default)]
    schedules: BTreeMap<Spanned<String>, RawSchedule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchedule {
    cron: Option<Spanned<String>>,
    every: Option<Spanned<String>>,
    job: Option<Spanned<String>>,
    queue: Option<Spanned<String>>,
    args: Option<Spanned<toml::Table>>,
    timezone: Option<Spanned<String>>,
    #[serde(default)]
    misfire: Misfire,
    #[serde(default)]
    overlap: Overlap,
    jitter: Option<Spanned<String>>,
    enabled: Option<bool>,
    #[serde(default)]
    run_at_start: bool,
    max_attempts: Option<Spanned<u32>>,
    timeout: Option<Spanned<String>>,
}

pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(|error| FileError {
        place: path.display().to_string(),
        reason: format!("cannot be read: {error}; write one, or name another with --schedules FILE"),
    })
}

impl Schedules {
    /// Reads and parses a file.
    pub fn read(path: &Path, catalog: &Catalog) -> Result<Self, FileError> {
        Self::parse(path, &read(path)?, catalog)
    }

    /// Parses a file's text.
    pub fn parse(path: &Path, text: &str, catalog: &Catalog) -> Result<Self, FileError> {
        let at = |span: Range<usize>, reason: String| FileError {
            place: format!("{}:{}", path.display(), line_of(text, span.start)),
            reason,
        };
        let raw: RawFile = toml::from_str(text)
            .map_err(|error| at(error.span().unwrap_or_default(), one_line(error.message())))?;
        let default_zone = zone(raw.timezone.as_ref()).map_err(|(span, reason)| at(span, reason))?;
        let schedules = raw.schedules.into_iter().map(|(name, schedule)| {
            Schedule::check(name, schedule, default_zone.as_ref(), catalog)
                .map_err(|(span, reason)| at(span, reason))
        });
        Ok(Self(schedules.collect::<Result<_, _>>()?))
    }

    /// Parses a later version of the file. One without any schedule is refused while schedules are in force: a file
    /// that was cut off is like that, and all that is due would be lost without a trace.
    pub fn parse_again(&self, path: &Path, text: &str, catalog: &Catalog) -> Result<Self, FileError> {
        let later = Self::parse(path, text, catalog)?;
        let in_force = self.enabled().count();
        if later.is_empty() && in_force > 0 {
            return Err(FileError {
                place: path.display().to_string(),
                reason: format!(
                    "defines no schedule while {in_force} {} in force; to switch one off, keep it and write \
                     enabled = false; to run without any, restart with this file",
                    if in_force == 1 { "is" } else { "are" }
                ),
            });
        }
        Ok(later)
    }

    /// Reads a later version of the file; see [`Schedules::parse_again`].
    pub fn read_again(&self, path: &Path, catalog: &Catalog) -> Result<Self, FileError> {
        self.parse_again(path, &read(path)?, catalog)
    }

    /// Whether the file defines no schedule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Schedule> {
        self.0.iter()
    }

    /// Those in force.
    pub fn enabled(&self) -> impl Iterator<Item = &Schedule> {
        self.0.iter().filter(|schedule| schedule.enabled)
    }
}

type Wrong = (Range<usize>, String);

impl Schedule {
    /// The job that it enqueues, to be enqueued beside its times.
    pub fn job_now(&self) -> NewJob {
        NewJob {
            queue: self.queue.clone(),
            max_attempts: self.max_attempts,
            timeout: self.timeout,
            schedule: Some(self.name.clone()),
            ..NewJob::new(&self.job, self.args.clone().into())
        }
    }

    /// What makes times due, and where they are counted: when it changes, counting begins anew.
    pub(crate) fn definition(&self) -> String {
        format!("{} in {}", self.cadence, self.queue)
    }

    fn check(
        name: Spanned<String>,
        raw: RawSchedule,
        zone_of_file: Option<&TimeZone>,
        catalog: &Catalog,
    ) -> Result<Self, Wrong> {
        let (span, name) = (name.span(), name.into_inner());
        check_name(&name).map_err(|reason| (span.clone(), format!("schedule `{name}`: {reason}")))?;
        let cadence = cadence(&name, &span, &raw, zone_of_file)?;
        let (job_span, job) = raw.job.map_or((span, name.clone()), |job| (job.span(), job.into_inner()));
        catalog.get(&job).map_err(|error| (job_span, error.to_string()))?;
        let args = raw.args.map(|args| (args.span(), args.into_inner()));
        let args_span = args.as_ref().map_or(0..0, |(span, _)| span.clone());
        let args = serde_json::to_value(args.map(|(_, table)| table).unwrap_or_default());
        let args = args.map_err(|error| (args_span.clone(), format!("args of `{name}`: {error}")))?;
        catalog.check(&job, &args).map_err(|error| (args_span, format!("args of `{name}`: {error}")))?;
        let queue =
            raw.queue.map_or((0..0, "default".to_owned()), |queue| (queue.span(), queue.into_inner()));
        check_name(&queue.1).map_err(|reason| (queue.0, format!("queue `{}`: {reason}", queue.1)))?;
        if let Some(n) = raw.max_attempts.as_ref().filter(|n| !(1..=1000).contains(n.get_ref())) {
            return Err((n.span(), format!("max_attempts `{}` is not between 1 and 1000", n.get_ref())));
        }
        Ok(Self {
            name,
            cadence,
            job,
            queue: queue.1,
            args: args.as_object().cloned().unwrap_or_default(),
            misfire: raw.misfire,
            overlap: raw.overlap,
            jitter: raw
                .jitter
                .as_ref()
                .map(|text| parse_duration("jitter", text))
                .transpose()?
                .unwrap_or_default(),
            enabled: raw.enabled.unwrap_or(true),
            run_at_start: raw.run_at_start,
            max_attempts: raw.max_attempts.map(Spanned::into_inner),
            timeout: raw.timeout.as_ref().map(timeout).transpose()?,
        })
    }
}

fn cadence(
    name: &str,
    span: &Range<usize>,
    raw: &RawSchedule,
    zone_of_file: Option<&TimeZone>,
) -> Result<Cadence, Wrong> {
    match (&raw.cron, &raw.every) {
        (Some(cron), None) => {
            let own_zone = zone(raw.timezone.as_ref())?;
            let wrong = |reason: String| {
                (cron.span(), format!("cron `{}`: {reason}", expression::shown(cron.get_ref())))
            };
            let (written, _) = expression::split_zone(cron.get_ref()).map_err(wrong)?;
            if let Some(zone) = own_zone.as_ref().filter(|own| written.as_ref().is_some_and(|it| it != *own))
            {
                let name = zone.iana_name().unwrap_or_default();
                return Err(wrong(format!("the key timezone is another one, `{name}`; write one of them")));
            }
            let zone = own_zone.or_else(|| zone_of_file.cloned()).unwrap_or(TimeZone::UTC);
            Cadence::cron(cron.get_ref(), zone).map_err(wrong)
        }
        (None, Some(every)) => {
            if let Some(zone) = &raw.timezone {
                return Err((
                    zone.span(),
                    format!("timezone of `{name}`: an interval has none; leave it out"),
                ));
            }
            let interval = parse_duration("every", every)?;
            if interval < SHORTEST_INTERVAL {
                return Err((every.span(), format!("every `{}` is shorter than 100ms", every.get_ref())));
            }
            Ok(Cadence::Every(interval))
        }
        (Some(_), Some(every)) => {
            Err((every.span(), format!("schedule `{name}` has both `cron` and `every`; write one of them")))
        }
        (None, None) => Err((
            span.clone(),
            format!("schedule `{name}` has no time; write cron = \"0 3 * * *\" or every = \"60s\""),
        )),
    }
}

fn parse_duration(key: &str, text: &Spanned<String>) -> Result<Duration, Wrong> {
    duration::parse(text.get_ref()).map_err(|error| (text.span(), format!("{key} {error}")))
}

fn timeout(text: &Spanned<String>) -> Result<Duration, Wrong> {
    let timeout = parse_duration("timeout", text)?;
    if timeout < Duration::from_millis(1) {
        return Err((text.span(), format!("timeout `{}`: a time is at least 1ms", text.get_ref())));
    }
    Ok(timeout)
}

fn zone(name: Option<&Spanned<String>>) -> Result<Option<TimeZone>, Wrong> {
    let Some(name) = name else { return Ok(None) };
    TimeZone::get(name.get_ref()).map(Some).map_err(|_| {
        let reason = format!(
            "timezone `{}` does not exist; write an IANA name, such as \"Europe/Berlin\" or \"UTC\"",
            name.get_ref()
        );
        (name.span(), reason)
    })
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
