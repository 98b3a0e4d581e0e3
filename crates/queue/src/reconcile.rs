//! Finds jobs that are stored and in no collection, and puts them back.
//!
//! Every step of a job's life is one script, so a job is in exactly one collection between two steps. What breaks that:
//! a producer of plain Redis commands that is killed between `HSET` and `RPUSH`, a script that Redis refused half-way,
//! an operator's command. Such a job would be acknowledged and never run.
//!
//! One worker of a queue reads all of it in pages, once a minute at most: first `data`, of which most jobs are found by
//! their state in one collection; then the lists `active` and `done`, from the right to the left, so that no element
//! that stays is missed whatever is pushed or popped meanwhile. A job that is missing is noted; one that is missing
//! again a minute later, with the same record, is put back by the script, which checks once more.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::keys::QueueKeys;
use crate::outage::Outage;
use crate::script::Step;

/// Jobs of which one pass remembers that they should be in a list: 64 bits each. Of more, a pass checks a part.
const MOST_LISTED: usize = 1_000_000;
/// Missing jobs that one pass handles.
const MOST_MISSING: usize = 10_000;
/// Missing jobs in one script call.
const BATCH: usize = 100;
/// Ids of a list in one command.
const LIST_PAGE: usize = 500;
/// Jobs of `data` in one script call, at first. Payloads may be large, so the number follows the time that a page takes.
const FIRST_PAGE: usize = 100;
const LARGEST_PAGE: usize = 200;
const SMALLEST_PAGE: usize = 5;
const SLOW_PAGE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// The lists in which a job cannot be searched by its id.
const LISTS: [&str; 2] = ["active", "done"];

/// Compares `data` of one queue with the collections.
pub(crate) struct Reconciler {
    client: Client,
    keys: QueueKeys,
    queue: Arc<str>,
}

/// What a pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pass {
    restored: usize,
    noted: usize,
}

/// Jobs that are in no collection.
pub(crate) struct Missing {
    /// At most [`MOST_MISSING`].
    pub(crate) ids: Vec<Vec<u8>>,
    part: Part,
}

/// The jobs that a pass checks: all, or one of several parts.
struct Part {
    hasher: RandomState,
    parts: u64,
    index: u64,
}

impl Part {
    /// The hash of a job that belongs to this part.
    fn hash(&self, id: &Vec<u8>) -> Option<u64> {
        Some(self.hasher.hash_one(id)).filter(|hash| hash % self.parts == self.index)
    }
}

/// A page of `data`, as `scan.lua` returns it.
type Page = (u64, Vec<Vec<u8>>, Vec<Vec<u8>>);

/// A job of the hash `stray`, and since when it is missing.
type Note = (Vec<u8>, Vec<u8>);

impl Reconciler {
    pub(crate) fn new(client: Client, queue: Arc<str>) -> Self {
        Self { keys: client.queue(&queue), client, queue }
    }

    /// Makes a pass every `interval` until `end`, unless another worker does.
    pub(crate) async fn run(self, worker: Arc<str>, interval: Duration, end: CancellationToken) {
        let mut outage = Outage::of("redis");
        while end.run_until_cancelled(tokio::time::sleep(interval / 2)).await.is_some() {
            match end.run_until_cancelled(self.pass(&worker, interval)).await {
                Some(Ok(pass)) => {
                    outage.over();
                    if pass.restored > 0 {
                        tracing::warn!(
                            queue.name = &*self.queue,
                            jobs = pass.restored,
                            "put jobs back that were stored and in no collection"
                        );
                    }
                }
                Some(Err(error)) => {
                    end.run_until_cancelled(outage.wait("look for jobs in no collection", &error)).await;
                }
                None => {}
            }
        }
    }

    /// A pass, if it is this worker's turn.
    async fn pass(&self, worker: &str, interval: Duration) -> Result<Pass, QueueError> {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let turn: Option<String> = redis::cmd("SET")
            .arg(self.keys.family("reconciler"))
            .arg(worker)
            .arg(&["NX", "PX"])
            .arg(interval_ms)
            .query_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("look for jobs in no collection"))?;
        if turn.is_none() {
            return Ok(Pass::default());
        }
        let missing = self.missing().await?;
        let mut pass = Pass::default();
        for group in missing.ids.chunks(BATCH) {
            let mut call = self.client.step(Step::Reconcile, &self.keys);
            call.arg(interval_ms).arg(MOST_MISSING).arg(group);
            let (restored, noted): (usize, usize) = call
                .invoke_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("put jobs back that are in no collection"))?;
            pass.restored += restored;
            pass.noted += noted;
        }
        self.forget_found(&missing).await?;
        Ok(pass)
    }

    /// The jobs that are in no collection. A job that is just being enqueued or moved may be among them.
    pub(crate) async fn missing(&self) -> Result<Missing, QueueError> {
        let parts = (self.listed().await? / MOST_LISTED + 1) as u64;
        let part = Part { hasher: RandomState::new(), parts, index: rand::random::<u64>() % parts };
        let (mut expected, mut missing) = (HashSet::new(), Vec::new());
        let hash = |id: &Vec<u8>| part.hash(id);
        self.scan(|listed, gone| {
            expected.extend(listed.iter().filter_map(hash));
            missing.extend(gone);
            missing.len() < MOST_MISSING
        })
        .await?;
        for list in LISTS {
            self.read_list(list, |id| {
                if let Some(hash) = hash(id) {
                    expected.remove(&hash);
                }
                !expected.is_empty()
            })
            .await?;
        }
        if !expected.is_empty() {
            // Few are left: only now their ids are of interest.
            self.scan(|listed, _| {
                missing.extend(
                    listed.into_iter().filter(|id| hash(id).is_some_and(|hash| expected.contains(&hash))),
                );
                missing.len() < MOST_MISSING
            })
            .await?;
        }
        missing.truncate(MOST_MISSING);
        Ok(Missing { ids: missing, part })
    }

    /// How many ids the lists have.
    async fn listed(&self) -> Result<usize, QueueError> {
        let mut pipe = redis::pipe();
        for list in LISTS {
            pipe.llen(self.keys.family(list));
        }
        let lengths: Vec<usize> = pipe
            .query_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("count the jobs of a queue"))?;
        Ok(lengths.iter().sum())
    }

    /// Passes all of `data`: ids that should be in a list, and ids that are missing. Ends early when `each` says false.
    async fn scan(&self, mut each: impl FnMut(Vec<Vec<u8>>, Vec<Vec<u8>>) -> bool) -> Result<(), QueueError> {
        let (mut cursor, mut count) = (0, FIRST_PAGE);
        loop {
            let began = Instant::now();
            let mut call = self.client.step(Step::Scan, &self.keys);
            call.arg(cursor).arg(count);
            let (next, listed, missing): Page = call
                .invoke_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("read the jobs of a queue"))?;
            if !each(listed, missing) || next == 0 {
                return Ok(());
            }
            cursor = next;
            let took = began.elapsed();
            count = if took > SLOW_PAGE { count / 2 } else { count * 2 };
            count = count.clamp(SMALLEST_PAGE, LARGEST_PAGE);
            pause(took).await;
        }
    }

    /// Passes all ids of a list, from the right to the left. Ends early when `each` says false.
    async fn read_list(&self, list: &str, mut each: impl FnMut(&Vec<u8>) -> bool) -> Result<(), QueueError> {
        let key = self.keys.family(list);
        let mut right = -1;
        loop {
            let began = Instant::now();
            let left = right + 1 - LIST_PAGE.cast_signed();
            let ids: Vec<Vec<u8>> = redis::cmd("LRANGE")
                .arg(&key)
                .arg(left)
                .arg(right)
                .query_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("read the jobs of a queue"))?;
            if ids.is_empty() || !ids.iter().all(&mut each) {
                return Ok(());
            }
            right = left - 1;
            pause(began.elapsed()).await;
        }
    }

    /// Removes the notes of jobs that are where they should be.
    async fn forget_found(&self, missing: &Missing) -> Result<(), QueueError> {
        let failed = || QueueError::redis("read which jobs are in no collection");
        let ids: HashSet<&[u8]> = missing.ids.iter().map(Vec::as_slice).collect();
        let is_found = |id: &&Vec<u8>| !ids.contains(id.as_slice()) && missing.part.hash(id).is_some();
        let stray = self.keys.family("stray");
        let mut connection = self.client.connection();
        let mut cursor = 0_u64;
        loop {
            let (next, page): (u64, Vec<Note>) = redis::cmd("HSCAN")
                .arg(&stray)
                .arg(cursor)
                .query_async(&mut connection)
                .await
                .map_err(failed())?;
            let found: Vec<&Vec<u8>> = page.iter().map(|(id, _)| id).filter(is_found).collect();
            if !found.is_empty() {
                redis::cmd("HDEL")
                    .arg(&stray)
                    .arg(found)
                    .query_async::<()>(&mut connection)
                    .await
                    .map_err(failed())?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// Leaves most of Redis's time to others.
async fn pause(took: Duration) {
    tokio::time::sleep((took * 5).min(LONGEST_PAUSE)).await;
}
