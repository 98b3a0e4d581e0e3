//! The scheduler: enqueues what `schedules.toml` says is due.
//!
//! Any number may run. A lease in Redis elects one; it carries an epoch, and a queue refuses the ticks of a leader
//! with an earlier epoch. Besides, a tick's identity is (schedule, nominal time due), claimed in the same script that
//! enqueues it: so even two that both believe to lead enqueue a tick once.
//!
//! The time is Redis's, carried on by this machine's monotonic clock: schedulers on machines whose clocks differ
//! agree on what is due, and a step of a clock moves nothing.

mod agenda;
mod cadence;
mod expression;
mod file;
mod forget;
mod last_tick;
mod leader;
mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use self::cadence::Cadence;
pub use self::file::{FileError, Misfire, Overlap, Schedule, Schedules};
pub use self::last_tick::{LastTick, TickOutcome};
pub use self::plan::upcoming;

pub(crate) use self::last_tick::last_ticks;

use self::agenda::Agenda;
use self::leader::{Lead, Leadership};
use crate::client::Client;
use crate::error::QueueError;
use crate::new_job::Encoded;
use crate::outage::Outage;
use crate::registry::Catalog;
use crate::script::Step;

/// How often the file is read again. By content, not by notification: that works on every file system and for every
/// way in which a file is replaced.
const REREAD: Duration = Duration::from_secs(2);
/// The longest sleep; the lease is renewed at each turn.
const TURN: Duration = Duration::from_secs(1);
/// Ticks in one script call: some milliseconds of Redis's time.
const BATCH: usize = 200;

/// Enqueues what is due.
#[derive(Debug)]
pub struct Scheduler {
    client: Client,
    catalog: Catalog,
    path: PathBuf,
    text: String,
    read_at: Instant,
    schedules: Schedules,
    agenda: Agenda,
    leadership: Leadership,
    /// Whether this scheduler knows what was enqueued last.
    has_begun: bool,
    /// Schedules that are new or changed, and have to begin to count.
    changed: Vec<usize>,
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
        let agenda = Agenda::of(&schedules, &catalog).map_err(|error| of_file(&path, &error))?;
        let read_at = Instant::now();
        Ok(Self {
            client,
            catalog,
            path,
            text,
            read_at,
            schedules,
            agenda,
            leadership,
            has_begun: false,
            changed: Vec::new(),
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
                    self.has_begun = false;
                    stop.run_until_cancelled(outage.wait("schedule", &error)).await;
                }
            }
        }
        self.leadership.resign().await;
    }

    /// One look at what is due; says how long to sleep.
    async fn turn(&mut self) -> Result<Duration, QueueError> {
        let Some(lead) = self.leadership.confirm().await? else {
            self.has_begun = false;
            self.reread();
            // Who leads sees to it.
            self.changed.clear();
            return Ok(TURN / 2);
        };
        let now = lead.now();
        if self.has_begun {
            // A schedule that nothing is known of was changed by another leader with another file.
            self.tick(self.agenda.unknown().into_iter().map(|index| (index, now)), "start", &lead).await?;
        } else {
            self.begin(now, &lead).await?;
        }
        // Left over from a turn that Redis has interrupted.
        self.restart(now, &lead).await?;
        let due = self.agenda.take_due(now);
        self.tick(due, "next", &lead).await?;
        // After what was due by the old file, and from the same moment on: no slot falls in between.
        self.reread();
        self.restart(now, &lead).await?;
        let next = self.agenda.next().unwrap_or(Timestamp::MAX).as_millisecond();
        let sleep = next.saturating_sub(lead.now().as_millisecond());
        Ok(Duration::from_millis(u64::try_from(sleep).unwrap_or(0)).min(TURN))
    }

    /// Takes the lead over: on the very first start of all, every schedule is enqueued once, so that a newcomer sees
    /// each job work; a schedule that is new later begins to count now.
    async fn begin(&mut self, now: Timestamp, lead: &Lead) -> Result<(), QueueError> {
        let first_start = !self.leadership.has_started().await?;
        let all: Vec<(usize, Timestamp)> =
            (0..self.agenda.entries().len()).map(|index| (index, now)).collect();
        if first_start && !self.tick(all.clone(), "first", lead).await? {
            return Ok(());
        }
        if !self.tick(all, "start", lead).await? {
            return Ok(());
        }
        if first_start {
            self.leadership.note_started().await?;
        }
        forget::forget(&self.client, &self.schedules, now).await?;
        self.has_begun = true;
        Ok(())
    }

    /// Lets what was changed begin to count.
    async fn restart(&mut self, now: Timestamp, lead: &Lead) -> Result<(), QueueError> {
        let changed: Vec<(usize, Timestamp)> = self.changed.iter().map(|index| (*index, now)).collect();
        self.tick(changed, "restart", lead).await?;
        self.changed.clear();
        Ok(())
    }

    /// Enqueues ticks: of each queue in their order, many at a time. False when another scheduler leads.
    async fn tick(
        &mut self,
        ticks: impl IntoIterator<Item = (usize, Timestamp)>,
        mode: &str,
        lead: &Lead,
    ) -> Result<bool, QueueError> {
        let mut by_queue: BTreeMap<String, Vec<(usize, Timestamp)>> = BTreeMap::new();
        for (index, slot) in ticks {
            let queue = self.agenda.entries()[index].schedule.queue.clone();
            by_queue.entry(queue).or_default().push((index, slot));
        }
        for (queue, ticks) in by_queue {
            self.client.announce(&queue).await?;
            for group in ticks.chunks(BATCH) {
                if !self.tick_group(&queue, group, mode, lead).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// False when another scheduler leads.
    async fn tick_group(
        &mut self,
        queue: &str,
        group: &[(usize, Timestamp)],
        mode: &str,
        lead: &Lead,
    ) -> Result<bool, QueueError> {
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Tick, &keys);
        call.arg(lead.epoch);
        let now_ms = lead.now().as_millisecond();
        for (index, slot) in group {
            let entry = &self.agenda.entries()[*index];
            let Schedule { name, overlap, jitter, .. } = &entry.schedule;
            call.arg(name).arg(slot.as_millisecond()).arg(&entry.definition).arg(mode).arg(overlap.as_str());
            let delay = jitter.mul_f64(rand::random::<f64>());
            Encoded::tick(&entry.job, now_ms, slot.as_millisecond(), delay)?.add_to(&mut call);
        }
        let answer: redis::Value = call
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("enqueue ticks"))?;
        // `deposed` comes alone; all others as a list for each tick.
        let Ok(answers) = redis::from_redis_value::<Vec<(String, i64, String)>>(answer) else {
            tracing::warn!("another scheduler has taken the lead");
            // Where none has, and Redis has lost the epoch, the next election begins a later one.
            self.leadership.resign().await;
            self.has_begun = false;
            return Ok(false);
        };
        for ((index, slot), (what, last_ms, definition)) in group.iter().zip(answers) {
            self.heed(*index, *slot, &what, last_ms, &definition);
        }
        Ok(true)
    }

    /// Notes what Redis said of a tick.
    fn heed(&mut self, index: usize, slot: Timestamp, what: &str, last_ms: i64, definition: &str) {
        let entry = &self.agenda.entries()[index];
        let name = &entry.schedule.name;
        tracing::debug!(schedule = name, slot = %slot, what, "tick");
        if what == "overlapping" {
            tracing::warn!(schedule = name, slot = %slot, "`{name}` was not enqueued: its previous run has not ended");
        }
        if what == "taken" && definition != entry.definition {
            self.agenda.forget(index);
        } else {
            self.agenda
                .counts_from(index, Timestamp::from_millisecond(last_ms).unwrap_or(Timestamp::UNIX_EPOCH));
        }
    }

    /// Reads the file again when it has changed. A bad one is refused as a whole and said once; the last good one
    /// stays in force. Notes the schedules that are new or changed.
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
        let read = Schedules::parse(&self.path, &text, &self.catalog).and_then(|schedules| {
            let agenda =
                Agenda::of(&schedules, &self.catalog).map_err(|error| of_file(&self.path, &error))?;
            Ok((schedules, agenda))
        });
        self.text = text;
        match read {
            Ok((schedules, mut agenda)) => {
                let count = schedules.enabled().count();
                tracing::info!(schedules = count, "{} was read again", self.path.display());
                self.changed = agenda.continue_from(&self.agenda);
                (self.schedules, self.agenda) = (schedules, agenda);
            }
            Err(error) => tracing::error!(error = %error, "schedules stay as they were: {error}"),
        }
    }
}

fn of_file(path: &std::path::Path, error: &QueueError) -> FileError {
    FileError { place: path.display().to_string(), reason: error.to_string() }
}
