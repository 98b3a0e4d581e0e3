//! Watches over the schedules themselves: a job that should have succeeded by now and has not is an alert. It runs beside
//! every role, asks Redis and Postgres itself, and, when it is the sending of alerts that stands still, sends them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{CANARY, Metric, Rule, Severity};
use dogwatch_jobs::{CheckPerformanceThresholds, Finding, SCHEDULE_OVERDUE, Services, send_waiting};
use dogwatch_queue::scheduler::{Book, Cadence, Schedules};
use dogwatch_queue::{Catalog, Job, Stop, error_chain};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(15);
/// What a run may be late: its interval twice, within these.
const LEAST_GRACE: TimeDelta = TimeDelta::minutes(1);
const MOST_GRACE: TimeDelta = TimeDelta::minutes(15);
/// What an alert may take from its rule to its channel.
const CANARY_GRACE: TimeDelta = TimeDelta::minutes(5);
/// What its alert about the queue itself is about.
const REDIS: &str = "redis";
/// What its alert about the file of the schedules is about.
const FILE: &str = "schedules_file";
/// The job that this does not wait for.
const SENDING: &str = "send_performance_alerts";

/// How a schedule fares.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Watched {
    /// Its name.
    pub schedule: String,
    /// Its job.
    pub job: String,
    /// When that succeeded last; absent: not since anybody remembers.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When it should have succeeded at the latest.
    pub expected_by: DateTime<Utc>,
    /// Whether that is over.
    pub is_overdue: bool,
}

/// How the enabled schedules fare. One whose job never succeeded is counted from `since` on.
pub fn watched(
    schedules: &Schedules,
    successes: &BTreeMap<String, DateTime<Utc>>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Watched> {
    let look = |schedule: &dogwatch_queue::scheduler::Schedule| {
        let last_success_at = successes.get(&schedule.job).copied();
        let expected_by = expected_by(&schedule.cadence, last_success_at.unwrap_or(since))?;
        Some(Watched {
            schedule: schedule.name.clone(),
            job: schedule.job.clone(),
            last_success_at,
            expected_by,
            is_overdue: now > expected_by,
        })
    };
    schedules.enabled().filter_map(look).collect()
}

/// How the canary fares, where there is one: an alert should have got through to its channel by now.
pub fn canary(
    rules: &[Rule],
    schedules: &Schedules,
    last: Option<DateTime<Utc>>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<Watched> {
    let rule = rules.iter().find(|rule| rule.metric() == Metric::Canary)?;
    // Where nobody evaluates rules on a schedule, nothing is missing.
    schedules.enabled().find(|schedule| schedule.job == CheckPerformanceThresholds::NAME)?;
    // Nothing was on its way while nobody ran.
    let expected_by = last.map_or(since, |last| last.max(since)) + rule.window + CANARY_GRACE;
    Some(Watched {
        schedule: CANARY.to_owned(),
        job: CheckPerformanceThresholds::NAME.to_owned(),
        // What is as old as that says neither that it is well nor that it is not.
        last_success_at: last.filter(|last| now > expected_by || now <= *last + rule.window + CANARY_GRACE),
        expected_by,
        is_overdue: now > expected_by,
    })
}

/// The first time due after a success, and some grace; `None`: never again.
fn expected_by(cadence: &Cadence, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = cadence.next_after(Timestamp::from_millisecond(last.timestamp_millis()).ok()?)?;
    let after = cadence.next_after(next)?;
    let interval = TimeDelta::milliseconds(after.as_millisecond() - next.as_millisecond());
    let grace = (interval * 2).clamp(LEAST_GRACE, MOST_GRACE);
    Some(DateTime::from_timestamp_millis(next.as_millisecond())? + grace)
}

/// The one who watches.
pub struct Watchdog {
    services: Services,
    book: Book,
    catalog: Catalog,
    /// Without the file there is nothing to watch over.
    schedules: PathBuf,
    /// As they were when they could be read last.
    last_read: Schedules,
    /// When this process began.
    since: DateTime<Utc>,
    /// Since when Redis does not answer.
    redis_away_since: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchdog").field("schedules", &self.schedules).finish_non_exhaustive()
    }
}

impl Watchdog {
    /// Over the schedules of a file, which are those of a book.
    pub fn new(services: Services, book: &Book, catalog: Catalog, schedules: PathBuf) -> Self {
        let since = services.clock.now();
        Self {
            services,
            book: book.clone(),
            catalog,
            schedules,
            last_read: Schedules::default(),
            since,
            redis_away_since: None,
        }
    }

    /// Watches until it is told to stop.
    pub async fn run(mut self, stop: Stop) {
        while stop.drain.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            if let Err(error) = self.look().await {
                // Whatever it is, the roles beside tell of it too.
                tracing::debug!(error = %error, "the schedules could not be watched");
            }
        }
    }

    /// One look.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn look(&mut self) -> anyhow::Result<()> {
        let now = self.services.clock.now();
        if let Ok(schedules) = self.last_read.read_again(&self.schedules, &self.catalog) {
            self.last_read = schedules;
        }
        let successes = match self.services.inspector.last_successes().await {
            Ok(successes) => successes,
            Err(error) => {
                let since = *self.redis_away_since.get_or_insert(now);
                // Not long enough to say so, and not well either: another process may know more.
                if now - since < LEAST_GRACE {
                    return Ok(());
                }
                return self.tell(REDIS, Some(error_chain(&error)), false, now).await;
            }
        };
        self.redis_away_since = None;
        self.tell(REDIS, None, true, now).await?;
        let refused = self.services.inspector.scheduler_status(&self.book).await?.refused_file;
        self.tell(FILE, refused.as_ref().map(|file| file.error.clone()), refused.is_none(), now).await?;
        let mut sends = true;
        let mut all = watched(&self.last_read, &successes, self.since, now);
        let last = self.services.store.last_delivered_at(CANARY).await?;
        match canary(&self.services.alerting.rules, &self.last_read, last, self.since, now) {
            Some(canary) => all.push(canary),
            None => self.tell(CANARY, None, true, now).await?,
        }
        for watched in all {
            // Nobody remembers a success: that it is not overdue yet does not make it well.
            if !watched.is_overdue && watched.last_success_at.is_none() {
                continue;
            }
            let last = watched.last_success_at.map_or("never".to_owned(), |at| at.to_rfc3339());
            let expected_by = watched.expected_by.to_rfc3339();
            let why = if watched.schedule == CANARY {
                format!(
                    "an alert that is raised on purpose should have arrived by {expected_by}; last: {last}"
                )
            } else {
                format!("its job `{}` should have succeeded by {expected_by}; last: {last}", watched.job)
            };
            self.tell(&watched.schedule, Some(why), !watched.is_overdue, now).await?;
            let is_on_the_way = watched.job == SENDING || watched.schedule == CANARY;
            sends &= !is_on_the_way || !watched.is_overdue;
        }
        if !sends {
            send_waiting(&self.services).await?;
        }
        Ok(())
    }

    /// Programs with other books may have schedules of the same names in the same database.
    fn fingerprint(&self, what: &str) -> String {
        let is_shared = what == REDIS || what == CANARY || self.book == Book::default();
        if is_shared {
            format!("{SCHEDULE_OVERDUE}:{what}")
        } else {
            format!("{SCHEDULE_OVERDUE}:{}/{what}", self.book)
        }
    }

    /// Raises an alert about a schedule, or ends it.
    async fn tell(
        &self,
        what: &str,
        why: Option<String>,
        is_well: bool,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let fingerprint = self.fingerprint(what);
        let services = &self.services;
        let known = services.store.alert_of(&fingerprint).await?;
        if is_well && known.is_none_or(|alert| !alert.life().is_open()) {
            return Ok(());
        }
        let title = match what {
            REDIS => "the queue does not answer".to_owned(),
            CANARY => "the canary is silent: alerts may not get through".to_owned(),
            FILE => "the file of schedules is refused, an earlier version is in force".to_owned(),
            schedule => format!("schedule {schedule} stands still"),
        };
        let finding = Finding {
            fingerprint,
            alert_type: SCHEDULE_OVERDUE.to_owned(),
            severity: Some(Severity::High),
            title,
            description: why.unwrap_or_default(),
            labels: [("schedule".to_owned(), what.to_owned())].into(),
            ..Finding::default()
        };
        services.alerting.create_or_update(&services.store, finding, is_well, now).await?;
        if !is_well && what == REDIS {
            // Then no job can.
            send_waiting(services).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-05-20T{text}Z").parse().unwrap()
    }

    #[test]
    fn a_run_may_be_late_by_its_interval_twice_within_bounds() {
        let every = |seconds| Cadence::Every(Duration::from_secs(seconds));
        assert_eq!(expected_by(&every(5), at("10:00:01")), Some(at("10:01:05")));
        assert_eq!(expected_by(&every(300), at("10:01:00")), Some(at("10:15:00")));
        let daily = Cadence::cron("30 3 * * *", TimeZone::UTC).unwrap();
        assert_eq!(expected_by(&daily, at("03:30:02")).unwrap().to_rfc3339(), "2026-05-21T03:45:00+00:00");
    }

    #[test]
    fn the_canary_is_silent_when_nothing_came_for_its_window_and_some_grace() {
        let rules = [Rule::canary()];
        let catalog = dogwatch_jobs::registry().catalog();
        let schedules = |text| Schedules::parse("schedules.toml".as_ref(), text, &catalog).unwrap();
        let checked = schedules("[schedules.check_performance_thresholds]\nevery = \"30s\"\n");
        let look = |last: Option<&str>, since, now| {
            let watched = canary(&rules, &checked, last.map(at), at(since), at(now)).unwrap();
            (watched.is_overdue, watched.last_success_at.is_some())
        };
        assert_eq!(look(Some("10:00:30"), "08:00:00", "10:35:30"), (false, true));
        assert_eq!(look(Some("10:00:30"), "08:00:00", "10:35:31"), (true, true));
        assert_eq!(look(None, "10:00:00", "10:35:01"), (true, false));
        // Nobody ran meanwhile: not known, neither way.
        assert_eq!(look(Some("03:00:00"), "10:00:00", "10:01:00"), (false, false));
        let silent = |rules: &[Rule], of| canary(rules, of, None, at("10:00:00"), at("23:00:00"));
        assert!(silent(&rules, &checked).is_some());
        assert!(silent(&[], &checked).is_none() && silent(&rules, &schedules("")).is_none());
    }
}
