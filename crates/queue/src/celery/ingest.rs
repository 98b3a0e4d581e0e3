//! Moves messages from one of Celery's lists into a queue.
//!
//! Messages are read, decoded and then moved in one script that checks that they are still in the list: so
//! none is ever in neither place, and Celery's own workers may go on taking from the same list. What only
//! they know stays there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::scan::{Found, ListScan, Visit, ends, mark};
use super::translate::{Translator, Verdict, filler};
use super::{Backend, Settings};
use crate::client::Client;
use crate::clock::Clock;
use crate::error::QueueError;
use crate::log_limit::{Due, LogLimit};
use crate::outage::Outage;
use crate::registry::Catalog;
use crate::script::Step;
use crate::wake::Watchers;

/// Celery's lists of one queue: a priority of 3 or more is in a list of its own. With the priority that it is
/// here, where 5 is the rule: clients that choose none send 0, and must not overtake all others.
pub(super) const STEPS: [(&str, u8); 4] = [("", 5), ("\x06\x163", 6), ("\x06\x166", 7), ("\x06\x169", 8)];
/// Messages and bytes that are moved in one step, from the end of a list, near to it, and far from it.
const BATCH_AT_END: usize = 64;
const BATCH_NEAR: usize = 32;
const BATCH_FAR: usize = 8;
const BATCH_BYTES: usize = 1024 * 1024;
/// How far from an end of its list a message is removed; the time that Redis needs for it grows with the
/// distance.
const NEAR: usize = 5000;
/// How long a list whose messages stay is left alone.
const PAUSE: Duration = Duration::from_millis(250);
/// The same for a list whose messages are large.
const LONG_PAUSE: Duration = Duration::from_secs(1);
const LARGE: usize = 256 * 1024;

/// The task that does so, for one queue of Celery.
pub(crate) struct CeleryIngest {
    scans: Vec<ListScan>,
    mover: Mover,
    poll: Duration,
}

/// Moves what was found.
pub(super) struct Mover {
    pub(super) client: Client,
    translator: Translator,
    clock: Clock,
    logs: Logs,
    /// Messages that were left and are not counted in Redis yet.
    left: u64,
    largest: usize,
}

/// What is logged of messages, by task.
#[derive(Default)]
struct Logs {
    left: LogLimit,
    refused: LogLimit,
    duplicate: LogLimit,
    revoked: LogLimit,
}

/// What happened to the messages that were found.
#[derive(Default)]
pub(super) struct Moves {
    /// How many were found in their places.
    pub(super) places: usize,
    /// How many of them are gone from the list.
    pub(super) removed: usize,
    /// What stands in the places of the others, by distance from the right end.
    pub(super) replaced: Vec<(usize, Vec<u8>)>,
}

impl CeleryIngest {
    /// One for each of the configured queues.
    pub(crate) fn all(client: &Client, catalog: &Catalog, settings: &crate::Settings) -> Vec<Self> {
        if client.is_cluster() && !settings.celery.queues.is_empty() {
            tracing::error!(
                "Celery's lists are not read: in a cluster they are in other slots, and Celery supports none"
            );
            return Vec::new();
        }
        for (task, job) in settings.celery.tasks.iter().filter(|(_, task)| !catalog.contains(&task.job)) {
            tracing::warn!(task, job.name = job.job, "[celery.tasks] names a job that does not exist");
        }
        let of = |list: String| {
            let scan = |(suffix, priority): &(&str, u8)| ListScan::new(format!("{list}{suffix}"), *priority);
            let mover = Mover::new(client, catalog, settings);
            Self { scans: STEPS.iter().map(scan).collect(), mover, poll: settings.poll }
        };
        settings.celery.lists().map(of).collect()
    }

    /// Moves until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let lists = self.scans.iter().map(|scan| scan.list.clone());
        let watchers = Watchers::start(&self.mover.client, lists, "RIGHT", self.poll);
        let mut outage = Outage::of("redis");
        let work = async {
            loop {
                match self.turn().await {
                    Ok((Visit::Again, _)) => outage.over(),
                    Ok((Visit::Idle, empty)) => {
                        outage.over();
                        // A list that is not empty would wake its watcher at once.
                        let all_empty = empty.len() == self.scans.len();
                        let pause = if all_empty { self.poll } else { self.mover.pause().min(self.poll) };
                        watchers.wait(&empty, pause).await;
                    }
                    Err(error) => outage.wait("move messages of Celery", &error).await,
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    /// Visits each list. Returns which of them were empty.
    async fn turn(&mut self) -> Result<(Visit, Vec<usize>), QueueError> {
        let ends = ends(&self.mover.client, &self.scans).await?;
        let empty = |(index, ends): (usize, &super::scan::Ends)| (ends.length == 0).then_some(index);
        let empty = ends.iter().enumerate().filter_map(empty).collect();
        for (scan, ends) in self.scans.iter_mut().zip(&ends) {
            if scan.visit(ends, &mut self.mover).await? == Visit::Again {
                // What has a higher priority comes first.
                return Ok((Visit::Again, empty));
            }
        }
        self.mover.count_left().await?;
        Ok((Visit::Idle, empty))
    }
}

impl Mover {
    fn new(client: &Client, catalog: &Catalog, settings: &crate::Settings) -> Self {
        let translator = Translator {
            catalog: catalog.clone(),
            settings: settings.celery.clone(),
            backend: Backend::of(settings),
        };
        let (client, clock) = (client.clone(), Clock::system());
        Self { client, translator, clock, logs: Logs::default(), left: 0, largest: 0 }
    }

    fn settings(&self) -> &Settings {
        &self.translator.settings
    }

    pub(super) fn judge(&mut self, raw: &[u8], list: &str, priority: u8) -> Result<Verdict, QueueError> {
        let verdict = self.translator.judge(raw, list, priority, self.clock.now())?;
        if matches!(verdict, Verdict::Leave(_)) {
            self.largest = self.largest.max(raw.len());
        }
        Ok(verdict)
    }

    fn pause(&mut self) -> Duration {
        if std::mem::take(&mut self.largest) > LARGE { LONG_PAUSE } else { PAUSE }
    }

    /// Notes that a message stays in its list.
    pub(super) fn note_left(&mut self, task: Option<String>) {
        self.left += 1;
        if let Some(Due { name: task, count }) = self.logs.left.count(&task.unwrap_or_default()) {
            if task.is_empty() {
                tracing::warn!(count, "Celery messages without a readable task are left in their list");
            } else {
                tracing::info!(
                    task,
                    count,
                    "no job is known for `{task}`; its messages are left in their list"
                );
            }
        }
    }

    async fn count_left(&mut self) -> Result<(), QueueError> {
        if self.left == 0 {
            return Ok(());
        }
        redis::cmd("HINCRBY")
            .arg(self.client.queue(&self.settings().into).family("celery"))
            .arg("left")
            .arg(self.left)
            .query_async::<()>(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("count messages of Celery"))?;
        self.left = 0;
        Ok(())
    }

    /// Moves these, the oldest first, in steps that are short for Redis.
    pub(super) async fn take(&mut self, list: &str, found: Vec<Found>) -> Result<Moves, QueueError> {
        let mut outcome = Moves::default();
        if found.is_empty() {
            return Ok(outcome);
        }
        self.client.announce(&self.settings().into).await?;
        let mut rest = &found[..];
        while !rest.is_empty() {
            let step = step_of(rest, outcome.removed);
            let (group, others) = rest.split_at(step);
            let answers = self.take_group(list, group, &mut outcome).await?;
            if answers < group.len() {
                break;
            }
            rest = others;
        }
        Ok(outcome)
    }

    /// Returns how many of them were found in their places.
    async fn take_group(
        &mut self,
        list: &str,
        group: &[Found],
        outcome: &mut Moves,
    ) -> Result<usize, QueueError> {
        let keys = self.client.queue(&self.settings().into);
        let fillers: Vec<String> =
            group.iter().map(|found| if is_near(found.depth) { String::new() } else { filler() }).collect();
        let mut call = self.client.step(Step::Intake, &keys);
        call.key(list).arg(Uuid::now_v7().to_string());
        for (found, filler) in group.iter().zip(&fillers) {
            call.arg(found.distance.saturating_sub(outcome.removed)).arg(&found.raw).arg(filler);
            match &found.moved {
                Some(moved) => {
                    call.arg(&moved.reason);
                    moved.job.add_to(&mut call);
                }
                None => {
                    call.arg(&["", "", "", "0", "0", ""]);
                }
            }
        }
        let answers: Vec<String> = call
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("move messages of Celery"))?;
        for ((found, filler), answer) in group.iter().zip(fillers).zip(&answers) {
            outcome.places += 1;
            if filler.is_empty() {
                outcome.removed += 1;
            } else {
                outcome.replaced.push((found.distance, mark(filler.as_bytes())));
            }
            if let Some(moved) = &found.moved {
                self.log_answer(answer, &moved.task, &moved.job.id, &moved.reason);
            }
        }
        Ok(answers.len())
    }

    fn log_answer(&self, answer: &str, task: &str, id: &str, reason: &str) {
        match answer {
            "refused" => {
                if let Some(Due { name: task, count }) = self.logs.refused.count(task) {
                    tracing::warn!(task, job.id = id, count, reason, "a Celery task is refused: {reason}");
                }
            }
            "duplicate" => {
                if let Some(Due { name: task, count }) = self.logs.duplicate.count(task) {
                    let kept = "a Celery task is dropped: a job of its id waits or runs, and is kept";
                    tracing::warn!(task, job.id = id, count, "{kept}");
                }
            }
            "revoked" => {
                if let Some(Due { name: task, count }) = self.logs.revoked.count(task) {
                    tracing::info!(task, job.id = id, count, "a Celery task was revoked before it arrived");
                }
            }
            _ => {}
        }
    }
}

/// Whether a message at this depth is removed rather than replaced.
pub(super) fn is_near(depth: usize) -> bool {
    depth <= NEAR
}

/// How many of these are moved in the next step.
fn step_of(found: &[Found], removed: usize) -> usize {
    let is_at_end = |(index, found): &(usize, &Found)| {
        found.distance.saturating_sub(removed) == *index && is_near(found.depth)
    };
    let at_end = found.iter().enumerate().take_while(is_at_end).count();
    let most = if at_end > 0 {
        at_end.min(BATCH_AT_END)
    } else if is_near(found[0].depth) {
        BATCH_NEAR
    } else {
        BATCH_FAR
    };
    let mut bytes = 0;
    let fits = |found: &&Found| {
        bytes += found.raw.len();
        bytes <= BATCH_BYTES
    };
    found.iter().take(most).take_while(fits).count().max(1)
}
