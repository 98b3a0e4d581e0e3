//! Reads what is in the queues. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::client::Client;
use crate::error::QueueError;
use crate::history::{self, HISTORY, JobHistory};
use crate::job_ref::JobRef;
use crate::keys::check_name;
use crate::presence::{self, WorkerInfo};
use crate::reconcile::Reconciler;
use crate::record::{JobRecord, JobState, Payload, Raw};
use crate::scheduler::{self, Book, LastTick, RefusedFile};
use crate::totals::{self, CeleryTotals, JobTotals, TickTotals};

/// What one round trip tells of a queue.
type Counts = (u64, u64, u64, u64, u64, u64, u64, u64, bool, Vec<Vec<u8>>);

/// The most that one list returns.
const MAX_LIMIT: usize = 1000;
/// The newest of each queue and state that a list with a cursor reaches: as many as are kept of ended jobs by default.
const MAX_REACH: usize = 10_000;
/// Dead letters read at a time.
const PAGE: usize = 500;

/// Finds jobs and counts them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inspector {
    client: Client,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this name.
    pub job: Option<String>,
    /// At most so many, up to 1,000.
    pub limit: usize,
    /// Only jobs that come after this position, where the page before ended.
    pub behind: Option<ListPosition>,
}

/// The position of a job in a list: the newest come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPosition {
    /// When it was enqueued; other producers may not record it.
    pub enqueued_at: Option<DateTime<Utc>>,
    /// Its id.
    pub id: String,
    /// Its queue: the same id in another queue is another job.
    pub queue: String,
}

impl ListPosition {
    /// That of this job.
    pub fn of(job: &JobRecord) -> Self {
        Self { enqueued_at: job.enqueued_at, id: job.id.clone(), queue: job.queue.clone() }
    }

    fn key(&self) -> PositionKey<'_> {
        (self.enqueued_at, &self.id, &self.queue)
    }
}

type PositionKey<'a> = (Option<DateTime<Utc>>, &'a str, &'a str);

/// How many jobs a queue holds.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct QueueCounts {
    /// Its name.
    pub name: String,
    /// Wait for a worker.
    pub ready: u64,
    /// Are under a lease.
    pub running: u64,
    /// Wait for their time.
    pub scheduled: u64,
    /// Have failed and wait for their next attempt.
    pub retrying: u64,
    /// Ended without success and are kept.
    pub dead: u64,
    /// Of all these, those that no worker knew when it claimed them; they wait for a worker that does.
    #[serde(default)]
    pub unknown: u64,
    /// Whether workers take no jobs from it.
    pub paused: bool,
    /// How long the first that is ready waits, in ms.
    pub oldest_ready_ms: Option<i64>,
}

/// The schedulers of a book.
#[derive(Clone, Debug)]
pub struct SchedulerStatus {
    /// How often the lead has changed.
    pub elections: u64,
    /// Whether one leads now.
    pub has_leader: bool,
    /// The version of schedules.toml that the leader refuses; the version before it is in force.
    pub refused_file: Option<RefusedFile>,
}

impl Inspector {
    /// Reads from `client`'s Redis.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Names of all queues that were ever used.
    pub async fn queues(&self) -> Result<BTreeSet<String>, QueueError> {
        redis::cmd("SMEMBERS")
            .arg(self.client.global().queues)
            .query_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("list the queues"))
    }

    /// The job that is meant; `None` when there is no such job. Without a queue all queues are read, and an id that
    /// several of them have is an error that names them.
    pub async fn job<'a>(&self, which: impl Into<JobRef<'a>>) -> Result<Option<JobRecord>, QueueError> {
        let JobRef { id, queue } = which.into();
        let queues = match queue {
            // No queue has such a name, and it could not be part of a key.
            Some(name) if check_name(name).is_err() => return Ok(None),
            // Also one that is not in the set of known queues yet: a plain producer may not have registered it.
            Some(name) => BTreeSet::from([name.to_owned()]),
            None => self.queues().await?,
        };
        let ids: Vec<(&str, &str)> = queues.iter().map(|queue| (queue.as_str(), id)).collect();
        let mut found: Vec<JobRecord> = self.read(&ids).await?.into_iter().flatten().collect();
        if found.len() > 1 {
            let queues = found.into_iter().map(|job| job.queue).collect();
            return Err(QueueError::Ambiguous { id: id.to_owned(), queues });
        }
        Ok(found.pop())
    }

    /// The newest jobs that fit the filter, the newest first.
    ///
    /// Looks at the newest 1,000 of each queue and state at the most, or 10,000 behind a cursor: a name that occurs only
    /// further back is not found.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRecord>, QueueError> {
        let limit = filter.limit.clamp(1, MAX_LIMIT);
        let mut found = Vec::new();
        for queue in self.queues().await? {
            if filter.queue.as_ref().is_some_and(|wanted| *wanted != queue) {
                continue;
            }
            // A filter on what the keys do not tell apart needs more than it returns.
            let look_at = match filter {
                JobFilter { behind: Some(_), .. } => MAX_REACH,
                JobFilter { job: None, state: None, .. } => limit,
                _ => MAX_LIMIT,
            };
            let ids = self.ids(&queue, filter.state, look_at).await?;
            let ids: Vec<(&str, &str)> = ids.iter().map(|id| (queue.as_str(), id.as_str())).collect();
            found.extend(self.read(&ids).await?.into_iter().flatten());
        }
        found.retain(|job| {
            filter.state.is_none_or(|state| job.state == state)
                && filter.job.as_ref().is_none_or(|name| job.job == *name)
                && filter.behind.as_ref().is_none_or(|behind| position(job) < behind.key())
        });
        found.sort_by(|a, b| position(b).cmp(&position(a)));
        found.truncate(limit);
        Ok(found)
    }

    /// What each queue holds.
    pub async fn counts(&self) -> Result<Vec<QueueCounts>, QueueError> {
        let mut counts = Vec::new();
        let now_ms = self.client.time_ms().await?;
        for name in self.queues().await? {
            let keys = self.client.queue(&name);
            let key = |family: &str| keys.family(family);
            let (active, prioritized, parked, running, scheduled, retrying, dead, unknown, paused, first): Counts =
                redis::pipe()
                    .llen(key("active"))
                    .zcard(key("prioritized"))
                    .hlen(key("parked"))
                    .zcard(key("leases"))
                    .zcard(key("scheduled"))
                    .scard(key("retrying"))
                    .zcard(key("dead"))
                    .hlen(key("unknown"))
                    .hexists(key("control"), "paused")
                    .lrange(key("active"), 0, 1)
                    .query_async(&mut self.client.connection())
                    .await
                    .map_err(QueueError::redis("count jobs"))?;
            // An empty id is a wake-up call, not a job.
            let ready =
                active - first.iter().filter(|id| id.is_empty()).count() as u64 + prioritized + parked;
            let since = match first.iter().find(|id| !id.is_empty()) {
                Some(id) => {
                    let first = self.read(&[(&name, &lossy(id.clone()))]).await?.pop().flatten();
                    first.and_then(|job| job.run_at).map(|at| at.timestamp_millis())
                }
                None => None,
            };
            counts.push(QueueCounts {
                name,
                ready,
                running,
                scheduled: scheduled.saturating_sub(retrying),
                retrying,
                dead,
                unknown,
                paused,
                oldest_ready_ms: since.map(|since| now_ms.saturating_sub(since)),
            });
        }
        Ok(counts)
    }

    /// All dead letters of a queue, the oldest first.
    pub async fn dead(&self, queue: &str) -> Result<Vec<JobRecord>, QueueError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let (looked_at, page) = self.dead_page(queue, after).await?;
            if looked_at == 0 {
                return Ok(all);
            }
            after += looked_at;
            all.extend(page);
        }
    }

    async fn dead_page(&self, queue: &str, after: usize) -> Result<(usize, Vec<JobRecord>), QueueError> {
        let ids: Vec<Vec<u8>> = redis::cmd("ZRANGE")
            .arg(self.client.queue(queue).family("dead"))
            .arg(after)
            .arg(after + PAGE - 1)
            .query_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("list dead letters"))?;
        let ids: Vec<String> = ids.into_iter().map(lossy).collect();
        let named: Vec<(&str, &str)> = ids.iter().map(|id| (queue, id.as_str())).collect();
        Ok((ids.len(), self.read(&named).await?.into_iter().flatten().collect()))
    }

    /// The documents of jobs; absent is what cannot be read.
    pub(crate) async fn payloads(
        &self,
        queue: &str,
        ids: &[&str],
    ) -> Result<Vec<Option<Payload>>, QueueError> {
        let data: Vec<Option<Vec<u8>>> = redis::cmd("HMGET")
            .arg(self.client.queue(queue).family("data"))
            .arg(ids)
            .query_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("read jobs"))?;
        Ok(data.into_iter().map(|data| Payload::parse(&data?).ok()).collect())
    }

    /// How many jobs of a queue are stored and in no collection, at most 10,000; jobs that are just being enqueued or moved
    /// may be among them. Reads the whole queue, in pages.
    pub async fn missing(&self, queue: &str) -> Result<usize, QueueError> {
        Ok(Reconciler::new(self.client.clone(), queue.into()).missing().await?.ids.len())
    }

    /// What ended in the last time, by queue and job; at most 24 hours back.
    pub async fn history(&self, last: Duration) -> Result<Vec<JobHistory>, QueueError> {
        let minutes = usize::try_from(last.min(HISTORY).as_secs().div_ceil(60)).unwrap_or(usize::MAX);
        let mut all = Vec::new();
        for queue in self.queues().await? {
            all.extend(history::read(&self.client, &queue, minutes.max(1)).await?);
        }
        Ok(all)
    }

    /// When each job succeeded last, whatever the queue.
    pub async fn last_successes(&self) -> Result<BTreeMap<String, DateTime<Utc>>, QueueError> {
        let mut last: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
        for queue in self.queues().await? {
            let times: HashMap<String, i64> = redis::cmd("HGETALL")
                .arg(self.client.queue(&queue).family("last_success"))
                .query_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("read when jobs succeeded last"))?;
            for (job, ms) in times {
                let Some(at) = DateTime::from_timestamp_millis(ms) else { continue };
                last.entry(job).and_modify(|known| *known = (*known).max(at)).or_insert(at);
            }
        }
        Ok(last)
    }

    /// The last tick of each schedule of a book that has had one; of one that has moved, in whichever queue it was.
    pub async fn last_ticks(&self, book: &Book) -> Result<BTreeMap<String, LastTick>, QueueError> {
        let mut last: BTreeMap<String, LastTick> = BTreeMap::new();
        for queue in self.queues().await? {
            for (name, tick) in scheduler::last_ticks(&self.client, book, &queue).await? {
                if last.get(&name).is_none_or(|other| other.at < tick.at) {
                    last.insert(name, tick);
                }
            }
        }
        Ok(last)
    }

    /// What became of all jobs that ever ran, by queue and job.
    pub async fn job_totals(&self) -> Result<Vec<JobTotals>, QueueError> {
        let mut all = Vec::new();
        for queue in self.queues().await? {
            all.extend(totals::of_jobs(&self.client, &queue).await?);
        }
        Ok(all)
    }

    /// What the schedulers have done, by queue.
    pub async fn tick_totals(&self) -> Result<Vec<TickTotals>, QueueError> {
        let mut all = Vec::new();
        for queue in self.queues().await? {
            all.push(totals::of_ticks(&self.client, &queue).await?);
        }
        Ok(all)
    }

    /// What happened to the messages of Celery's clients, by queue.
    pub async fn celery_totals(&self) -> Result<Vec<CeleryTotals>, QueueError> {
        let mut all = Vec::new();
        for queue in self.queues().await? {
            all.extend(totals::of_celery(&self.client, &queue).await?);
        }
        Ok(all)
    }

    /// What is known of the schedulers of a book.
    pub async fn scheduler_status(&self, book: &Book) -> Result<SchedulerStatus, QueueError> {
        let keys = self.client.book(book);
        let (epoch, has_leader, refused): (Option<u64>, bool, Option<String>) = redis::pipe()
            .get(keys.epoch)
            .exists(keys.leader)
            .get(keys.refused)
            .query_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("read which scheduler leads"))?;
        // Without a leader the note says nothing about the next one.
        let refused = refused.filter(|_| has_leader);
        Ok(SchedulerStatus {
            elections: epoch.unwrap_or_default(),
            has_leader,
            refused_file: refused.and_then(|refused| serde_json::from_str(&refused).ok()),
        })
    }

    /// The workers that live.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        presence::list(&self.client).await
    }

    /// The newest ids of the sets in which jobs of this state can be.
    async fn ids(
        &self,
        queue: &str,
        state: Option<JobState>,
        limit: usize,
    ) -> Result<Vec<String>, QueueError> {
        let keys = self.client.queue(queue);
        let newest = -isize::try_from(limit).unwrap_or(isize::MAX);
        let families: &[&str] = match state {
            Some(JobState::Running) => &["leases"],
            Some(JobState::Scheduled | JobState::Retrying) => &["scheduled"],
            Some(JobState::Succeeded | JobState::Expired) => &["done"],
            Some(JobState::Dead) => &["dead"],
            // One that was cancelled while it was ready keeps its place until it is popped.
            Some(JobState::Cancelled) => &["done", "active", "parked"],
            Some(JobState::Ready) => &["active", "prioritized", "parked"],
            None => &["leases", "scheduled", "done", "dead", "active", "prioritized", "parked"],
        };
        let mut pipe = redis::pipe();
        for family in families {
            let key = keys.family(family);
            match *family {
                "active" | "done" => pipe.lrange(key, newest, -1),
                // Jobs that wait under limits are few.
                "parked" => pipe.hkeys(key),
                _ => pipe.zrange(key, newest, -1),
            };
        }
        let ids: Vec<Vec<Vec<u8>>> =
            pipe.query_async(&mut self.client.connection()).await.map_err(QueueError::redis("list jobs"))?;
        Ok(ids.into_iter().flatten().filter(|id| !id.is_empty()).map(lossy).collect())
    }

    async fn read(&self, ids: &[(&str, &str)]) -> Result<Vec<Option<JobRecord>>, QueueError> {
        let mut records = Vec::with_capacity(ids.len());
        // In a cluster, one round trip can ask about one queue.
        let same_queue = ids.chunk_by(|(a, _), (b, _)| a == b);
        for group in same_queue.flat_map(|same_queue| same_queue.chunks(200)) {
            let mut pipe = redis::pipe();
            for (queue, id) in group {
                let keys = self.client.queue(queue);
                for family in ["data", "run", "errors", "progress"] {
                    pipe.hget(keys.family(family), id);
                }
            }
            let values: Vec<Option<Vec<u8>>> = pipe
                .query_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("read jobs"))?;
            let mut values = values.into_iter();
            for (queue, id) in group {
                let mut next = || values.next().flatten();
                let data = next();
                let mut text = || next().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                let raw = Raw { data, run: text(), errors: text(), progress: text() };
                records.push(JobRecord::from_redis(id, queue, &raw));
            }
        }
        Ok(records)
    }
}

fn position(job: &JobRecord) -> PositionKey<'_> {
    (job.enqueued_at, &job.id, &job.queue)
}

/// What other producers push may be no text.
fn lossy(id: Vec<u8>) -> String {
    String::from_utf8(id).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
