//! The schedules as they stand in schedules.toml, for people and machines: when each is due, and how it fared.

use std::path::Path;

use chrono::{DateTime, Utc};
use dogwatch_queue::scheduler::{FileError, LastTick, Schedule, Schedules, upcoming};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A schedule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScheduleInfo {
    /// Its name.
    pub name: String,
    /// When it is due, such as `every 30s` or a cron expression.
    pub when: String,
    /// Its job.
    pub job: String,
    /// The queue that its job is put into.
    pub queue: String,
    /// The job's arguments.
    #[schema(value_type = Object)]
    pub args: Map<String, Value>,
    /// Whether it is enqueued.
    pub enabled: bool,
    /// The next times, at most as many as were asked for.
    pub next: Vec<DateTime<Utc>>,
    /// When its job succeeded last, whoever enqueued it; absent: nobody remembers, or was asked.
    pub last_success_at: Option<DateTime<Utc>>,
    /// What became of its last time; absent: it had none yet, or nobody was asked.
    pub last_run: Option<LastTick>,
}

/// Reads the file.
///
/// # Errors
/// When it cannot be read, or is wrong.
pub fn read(path: &Path) -> Result<Schedules, FileError> {
    Schedules::read(path, &dogwatch_jobs::registry().catalog())
}

impl ScheduleInfo {
    /// A schedule with its next times.
    pub fn of(schedule: &Schedule, count: usize, now: DateTime<Utc>) -> Self {
        Self {
            name: schedule.name.clone(),
            when: schedule.cadence.to_string(),
            job: schedule.job.clone(),
            queue: schedule.queue.clone(),
            args: schedule.args.clone(),
            enabled: schedule.enabled,
            next: next(schedule, count, now),
            last_success_at: None,
            last_run: None,
        }
    }
}

/// When it is due next.
fn next(schedule: &Schedule, count: usize, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let now = Timestamp::from_millisecond(now.timestamp_millis()).unwrap_or(Timestamp::UNIX_EPOCH);
    let times = upcoming(&schedule.cadence, now, count.min(1000));
    times.iter().filter_map(|time| DateTime::from_timestamp_millis(time.as_millisecond())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::DEFAULTS;

    fn names(table: &toml::Table, into: &mut BTreeSet<String>) {
        for (key, value) in table {
            into.insert(key.clone());
            if let toml::Value::Table(table) = value {
                names(table, into);
            }
        }
    }

    /// Such a setting would have no effect: an argument wins over it.
    #[test]
    fn no_argument_of_the_shipped_schedules_repeats_a_setting() {
        let mut settings = BTreeSet::new();
        names(&DEFAULTS.parse().unwrap(), &mut settings);
        assert!(settings.contains("window_minutes"));
        let schedules = read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/schedules.toml"))).unwrap();
        for schedule in schedules.all() {
            let repeated: Vec<_> = schedule.args.keys().filter(|key| settings.contains(*key)).collect();
            assert!(repeated.is_empty(), "{}: {repeated:?}", schedule.name);
        }
    }
}
