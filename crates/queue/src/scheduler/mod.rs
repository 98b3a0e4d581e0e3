//! The scheduler: enqueues what `schedules.toml` says is due.
//!
//! Any number may run. A lease in Redis elects one; it carries an epoch, and a queue refuses the ticks of a leader
//! with an earlier epoch. Besides, a tick's identity is (schedule, nominal time due), claimed in the same script that
//! enqueues it: so even two that both believe to lead enqueue a tick once.
//!
//! The time is Redis's, carried on by this machine's monotonic clock: schedulers on machines whose clocks differ
//! agree on what is due, and a step of a clock moves nothing.

mod cadence;
mod file;
mod leader;
mod plan;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use self::cadence::Cadence;
pub use self::file::{FileError, Misfire, Overlap, Schedule, Schedules};
pub use self::plan::upcoming;

use self::leader::{Lead, Leadership};
use crate::client::Client;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::producer::{Encoded, NewJob, announce};
use crate::registry::Catalog;
use crate::script;

/// How often the file is read again. By content, not by notification: that works on every file system and for every
/// way in which a file is replaced.
const REREAD: Duration = Duration::from_secs(2);
/// The longest sleep; the lease is renewed at each turn.
const TURN: Duration = Duration::from_secs(1);

/// Enqueues what is due.
#[derive(Debug)]
pub struct Scheduler {
    client: Client,
    catalog: Catalog,
    path: PathBuf,
    text: String,
    read_at: Instant,
    schedules: Schedules,
    leadership: Leadership,
    /// Per schedule the last slot that is known to be enqueued or passed over.
    last: HashMap<String, Timestamp>,
}

impl Scheduler {
    /// Reads the file.
    ///
    /// # Errors
    /// [`FileError`], which names file, line, value and what would be right.
    pub fn new(client: Client, catalog: Catalog, path: PathBuf) -> Result<Self, FileError> {
        let text = file::read(&path)?;
        let schedules = Schedules::parse(&path, &text, &catalog)?;
        let leadership = Leadership::new(client.clone());
        Ok(Self {
            client,
            catalog,
            path,
            text,
            read_at: Instant::now(),
            schedules,
            leadership,
            last: HashMap::new(),
        })
    }

    /// What is in force.
    pub fn schedules(&self) -> &Schedules {
        &self.schedules
    }

    /// Schedules until `stop`. Never ends on a fault of Redis.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::of("redis");
        while !stop.is_cancelled() {
            match self.turn().await {
                Ok(sleep) => {
                    outage.over();
                    stop.run_until_cancelled(tokio::time::sleep(sleep)).await;
                }
                Err(error) => {
                    // Another may lead by now; what it did is read anew.
                    self.last.clear();
                    stop.run_until_cancelled(outage.wait("schedule", &error)).await;
                }
            }
        }
        self.leadership.resign().await;
    }

    /// One look at everything; says how long to sleep.
    async fn turn(&mut self) -> Result<Duration, QueueError> {
        self.reread();
        let Some(lead) = self.leadership.confirm().await? else {
            self.last.clear();
            return Ok(TURN / 2);
        };
        if self.last.is_empty() {
            self.begin(&lead).await?;
        }
        let mut next = lead.now() + TURN;
        for schedule in self.schedules.enabled().cloned().collect::<Vec<_>>() {
            next = next.min(self.follow(&schedule, &lead).await?);
        }
        let sleep = next.as_millisecond() - lead.now().as_millisecond();
        Ok(Duration::from_millis(u64::try_from(sleep).unwrap_or(0)).min(TURN))
    }

    /// Takes the lead over: on the very first start of all, every schedule is enqueued once, so that a newcomer sees
    /// each job work; a schedule that is new later begins to count now.
    async fn begin(&mut self, lead: &Lead) -> Result<(), QueueError> {
        let first_start = !self.leadership.has_started().await?;
        let now = lead.now();
        for schedule in self.schedules.enabled().cloned().collect::<Vec<_>>() {
            if first_start {
                self.tick(&schedule, now, "first", lead).await?;
            }
            self.tick(&schedule, now, "start", lead).await?;
        }
        if first_start {
            self.leadership.note_started().await?;
        }
        Ok(())
    }

    /// Enqueues what is due of one schedule; says when the next is.
    async fn follow(&mut self, schedule: &Schedule, lead: &Lead) -> Result<Timestamp, QueueError> {
        let now = lead.now();
        let far = now + Duration::from_hours(24);
        let Some(&last) = self.last.get(&schedule.name) else {
            self.tick(schedule, now, "start", lead).await?;
            return Ok(now);
        };
        let due = plan::due(&schedule.cadence, last, now, schedule.misfire);
        for slot in due.enqueue {
            self.tick(schedule, slot, "next", lead).await?;
        }
        if let Some(passed) = due.passed {
            self.last.entry(schedule.name.clone()).and_modify(|last| *last = passed.max(*last));
        }
        Ok(due.next.unwrap_or(far))
    }

    async fn tick(
        &mut self,
        schedule: &Schedule,
        slot: Timestamp,
        mode: &str,
        lead: &Lead,
    ) -> Result<(), QueueError> {
        let job = NewJob {
            queue: schedule.queue.clone(),
            delay: schedule.jitter.mul_f64(rand::random::<f64>()),
            max_attempts: schedule.max_attempts,
            timeout: schedule.timeout,
            schedule: Some(schedule.name.clone()),
            ..NewJob::new(&schedule.job, Value::Object(schedule.args.clone()))
        };
        let job = Encoded::new(job, &self.catalog)?;
        announce(&self.client, &schedule.queue).await?;
        let mut call = script::tick(&self.client.queue(&schedule.queue));
        call.arg(lead.epoch).arg(&schedule.name).arg(slot.as_millisecond()).arg(schedule.definition());
        call.arg(mode).arg(schedule.overlap.as_str());
        job.add_to(&mut call);
        let (what, last_ms, definition): (String, i64, String) = call
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("enqueue a tick"))?;
        tracing::debug!(schedule = schedule.name, slot = %slot, what, "tick");
        match what.as_str() {
            "deposed" => {
                tracing::warn!("another scheduler has taken the lead");
                self.leadership.step_down();
                self.last.clear();
            }
            "overlapping" => tracing::warn!(
                schedule = schedule.name,
                slot = %slot,
                "`{}` was not enqueued: its previous run has not ended",
                schedule.name
            ),
            _ => {}
        }
        let last = Timestamp::from_millisecond(last_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        if what == "deposed" || (what == "taken" && definition != schedule.definition()) {
            self.last.remove(&schedule.name);
        } else {
            self.last.insert(schedule.name.clone(), last);
        }
        Ok(())
    }

    /// Reads the file again when it has changed. A bad one is refused as a whole and said once; the last good one
    /// stays in force.
    fn reread(&mut self) {
        if self.read_at.elapsed() < REREAD {
            return;
        }
        self.read_at = Instant::now();
        let text = match file::read(&self.path) {
            Ok(text) if text == self.text => return,
            Ok(text) => text,
            Err(error) => {
                // Forget the text, so that the same file is taken when it is back.
                if !std::mem::take(&mut self.text).is_empty() {
                    tracing::error!(error = %error, "schedules stay as they were: {error}");
                }
                return;
            }
        };
        match Schedules::parse(&self.path, &text, &self.catalog) {
            Ok(schedules) => {
                tracing::info!(
                    schedules = schedules.enabled().count(),
                    "{} was read again",
                    self.path.display()
                );
                self.last.retain(|name, _| {
                    let definition =
                        |of: &Schedules| of.enabled().find(|s| s.name == *name).map(Schedule::definition);
                    definition(&schedules) == definition(&self.schedules)
                });
                self.schedules = schedules;
            }
            Err(error) => tracing::error!(error = %error, "schedules stay as they were: {error}"),
        }
        self.text = text;
    }
}
