//! The scheduler: enqueues what `schedules.toml` says is due.
//!
//! Any number may run. A lease in Redis elects one of each schedule book; it carries an epoch, and a queue refuses
//! the ticks of a leader with an earlier epoch. Besides, a tick's identity is (book, schedule, nominal time due),
//! claimed in the same script that enqueues it: so even two that both believe to lead enqueue a tick once.
//!
//! The time is Redis's, carried on by this machine's monotonic clock: schedulers on machines whose clocks differ
//! agree on what is due, and a step of a clock moves nothing.

mod agenda;
mod book;
mod cadence;
mod expression;
mod file;
mod last_tick;
mod leader;
mod plan;
mod refusal;
mod slots;
mod ticks;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

pub use self::book::Book;
pub use self::cadence::Cadence;
pub use self::file::{FileError, Misfire, Overlap, Schedule, Schedules};
pub use self::last_tick::{LastTick, TickOutcome};
pub use self::plan::upcoming;
pub use self::refusal::RefusedFile;

pub(crate) use self::last_tick::last_ticks;

use self::agenda::Agenda;
use self::leader::{Lead, Leadership};
use self::slots::Known;
use self::ticks::{Answer, Mode, Tick};
use crate::client::Client;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::registry::Catalog;

/// How often the file is read again. By content, not by notification: that works on every file system and for every
/// way in which a file is replaced.
const REREAD: Duration = Duration::from_secs(2);
/// The longest sleep; the lease is renewed at each turn.
const TURN: Duration = Duration::from_secs(1);

/// The `[scheduler]` section of dogwatch.toml.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The schedule book. Schedulers of one book have the same schedules, and one of them leads.
    pub book: Book,
}

/// Enqueues what is due.
#[derive(Debug)]
pub struct Scheduler {
    client: Client,
    book: Book,
    catalog: Catalog,
    path: PathBuf,
    text: String,
    read_at: Instant,
    schedules: Schedules,
    agenda: Agenda,
    leadership: Leadership,
    /// The epoch in which this scheduler led last.
    last_epoch: Option<u64>,
    /// Whether this scheduler knows what was enqueued last.
    has_begun: bool,
    /// Schedules that have left the file since the last turn, or were switched off or moved: queue and name.
    ended: Vec<(String, String)>,
    /// Names that were in force in this book at any time.
    known: HashSet<String>,
    /// Why the file as it is now is not in force.
    refused: Option<String>,
    refusal_note: refusal::Note,
}

impl Scheduler {
    /// Reads the file.
    ///
    /// # Errors
    /// [`FileError`], which names file, line, value and what would be right.
    pub fn new(client: Client, book: Book, catalog: Catalog, path: PathBuf) -> Result<Self, FileError> {
        let text = file::read(&path)?;
        let schedules = Schedules::parse(&path, &text, &catalog)?;
        if schedules.is_empty() {
            tracing::warn!("{} defines no schedule: nothing will be enqueued until it does", path.display());
        }
        let leadership = Leadership::new(client.clone(), book.clone());
        let agenda = Agenda::of(&schedules, &catalog).map_err(|error| of_file(&path, &error))?;
        let read_at = Instant::now();
        Ok(Self {
            client,
            book,
            catalog,
            path,
            text,
            read_at,
            schedules,
            agenda,
            leadership,
            last_epoch: None,
            has_begun: false,
            ended: Vec::new(),
            known: HashSet::new(),
            refused: None,
            refusal_note: refusal::Note::default(),
        })
    }

    /// The schedules of the last good version of the file.
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

    /// Enqueues what is due; returns how long to sleep.
    async fn turn(&mut self) -> Result<Duration, QueueError> {
        let Some(lead) = self.leadership.confirm().await? else {
            (self.has_begun, self.last_epoch) = (false, None);
            self.reread();
            // The leader notes it.
            self.ended.clear();
            return Ok(TURN / 2);
        };
        let now = lead.now();
        if !self.has_begun && !self.begin(now, &lead).await? {
            return Ok(TURN / 2);
        }
        let ahead = self.agenda.forget_ahead(now);
        if ahead > 0 {
            tracing::warn!(
                schedules = ahead,
                "the clock of Redis has gone back: they are counted from now on"
            );
        }
        // What another leader with another file has changed, and what has to be counted anew.
        self.note_changes(now, &lead).await?;
        let due = self.agenda.take_due(now);
        let due = due.into_iter().map(|(index, slot)| self.tick_of(index, slot, Mode::Next)).collect();
        self.tick(due, &lead).await?;
        // After what was due by the old file, and from the same moment on: no slot falls in between.
        self.reread();
        self.note_changes(now, &lead).await?;
        self.refusal_note.update(&self.client, &self.book, self.refused.as_deref(), &lead).await?;
        let next = self.agenda.next().unwrap_or(Timestamp::MAX).as_millisecond();
        let sleep = next.saturating_sub(lead.now().as_millisecond());
        Ok(Duration::from_millis(u64::try_from(sleep).unwrap_or(0)).min(TURN))
    }

    /// Takes the lead over. What Redis knows of this book is compared with the file as a whole, since perhaps no
    /// scheduler has seen how the file changed: a schedule that counts and is not in force ends, and one that is in
    /// force and does not count begins now. All of it can be repeated, so a fault half way does no harm. False when
    /// another leads.
    async fn begin(&mut self, now: Timestamp, lead: &Lead) -> Result<bool, QueueError> {
        // Another may have led in between by a later version of the file. Where none has, the version that this
        // one knows is noted first, so that no change is missed.
        let alone = self.last_epoch.is_some_and(|epoch| (epoch..=epoch + 1).contains(&lead.epoch));
        if !alone {
            self.reread_now();
        }
        self.last_epoch = Some(lead.epoch);
        self.refusal_note.forget();
        let known = slots::read(&self.client, &self.book).await?;
        let notes = slots::notes(&known, &self.schedules, now);
        self.known.extend(known.into_iter().map(|Known { schedule, .. }| schedule));
        let all = (0..self.agenda.entries().len()).map(|index| self.beginning_of(index, now)).collect();
        // First the ends: a schedule that has moved never counts in two queues.
        self.has_begun = self.tick(notes, lead).await? && self.tick(all, lead).await?;
        if self.has_begun {
            self.ended.clear();
        }
        Ok(self.has_begun)
    }

    /// Notes what is not in force any more, and lets begin what does not count yet.
    async fn note_changes(&mut self, now: Timestamp, lead: &Lead) -> Result<(), QueueError> {
        let end = |(queue, schedule): &(String, String)| {
            let (queue, schedule) = (queue.clone(), schedule.clone());
            Tick { queue, schedule, slot: now, mode: Mode::End, index: None }
        };
        self.tick(self.ended.iter().map(end).collect(), lead).await?;
        self.ended.clear();
        let unknown = self.agenda.unknown();
        self.tick(unknown.into_iter().map(|index| self.beginning_of(index, now)).collect(), lead).await?;
        Ok(())
    }

    fn beginning_of(&self, index: usize, now: Timestamp) -> Tick {
        let schedule = &self.agenda.entries()[index].schedule;
        let is_new = schedule.run_at_start && !self.known.contains(&schedule.name);
        self.tick_of(index, now, if is_new { Mode::First } else { Mode::Start })
    }

    fn tick_of(&self, index: usize, slot: Timestamp, mode: Mode) -> Tick {
        let schedule = &self.agenda.entries()[index].schedule;
        let (queue, schedule) = (schedule.queue.clone(), schedule.name.clone());
        Tick { queue, schedule, slot, mode, index: Some(index) }
    }

    /// Sends ticks: of each queue in their order, many at a time. False when another scheduler leads.
    async fn tick(&mut self, ticks: Vec<Tick>, lead: &Lead) -> Result<bool, QueueError> {
        for group in ticks::by_queue(ticks) {
            if let Some(first) = group.first() {
                self.client.announce(&first.queue).await?;
            }
            let sent = ticks::send(&self.client, &self.book, self.agenda.entries(), group, lead).await?;
            let Some(answers) = sent else {
                tracing::warn!(book = %self.book, "another scheduler has taken the lead");
                // Where none has, and Redis has lost the epoch, the next election begins a later one.
                self.leadership.resign().await;
                (self.has_begun, self.last_epoch) = (false, None);
                return Ok(false);
            };
            for answer in answers {
                self.record_tick(answer);
            }
        }
        Ok(true)
    }

    /// Records what Redis answered to a tick.
    fn record_tick(&mut self, Answer { tick, what, last, definition }: Answer) {
        let Tick { schedule: name, slot, index, .. } = tick;
        tracing::debug!(schedule = name, slot = %slot, what, "tick");
        let Some(index) = index else { return };
        if what == "overlapping" {
            tracing::warn!(schedule = name, slot = %slot, "`{name}` was not enqueued: its previous run has not ended");
        }
        if what == "taken" && definition != self.agenda.entries()[index].definition {
            self.agenda.forget(index);
        } else {
            self.agenda.counts_from(index, last);
        }
        self.known.insert(name);
    }

    /// Reads the file again when that is due.
    fn reread(&mut self) {
        if self.read_at.elapsed() >= REREAD {
            self.reread_now();
        }
    }

    /// Reads the file again and takes it when it has changed. A bad one is refused as a whole and logged once; the
    /// last good one stays in force. Remembers which schedules are not in force any more.
    fn reread_now(&mut self) {
        self.read_at = Instant::now();
        let text = match file::read(&self.path) {
            Ok(text) if text == self.text => return,
            Ok(text) => text,
            Err(error) => {
                // Forget the text, so that the same file is taken when it is back.
                if !std::mem::take(&mut self.text).is_empty() {
                    self.refuse(&error);
                }
                return;
            }
        };
        let read = self.schedules.parse_again(&self.path, &text, &self.catalog).and_then(|schedules| {
            let agenda =
                Agenda::of(&schedules, &self.catalog).map_err(|error| of_file(&self.path, &error))?;
            Ok((schedules, agenda))
        });
        self.text = text;
        match read {
            Ok((schedules, mut agenda)) => {
                let count = schedules.enabled().count();
                tracing::info!(schedules = count, "{} was read again", self.path.display());
                agenda.continue_from(&self.agenda);
                self.ended.extend(self.agenda.ended_in(&agenda));
                (self.schedules, self.agenda) = (schedules, agenda);
                self.refused = None;
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&mut self, error: &FileError) {
        tracing::error!("schedules stay as they were: {error}");
        self.refused = Some(error.to_string());
    }
}

fn of_file(path: &std::path::Path, error: &QueueError) -> FileError {
    FileError { place: path.display().to_string(), reason: error.to_string() }
}
