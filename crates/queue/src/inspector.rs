//! Reads what is in the queues. Changes nothing.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use crate::client::Client;
use crate::error::QueueError;
use crate::record::{JobRecord, JobState};

/// Payload and metadata.
type RawJob = (Option<Vec<u8>>, HashMap<String, String>);

/// The most that one list returns.
const MAX_LIMIT: usize = 1000;

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
}

/// How many jobs a queue holds.
#[derive(Clone, Debug, Serialize)]
pub struct QueueCounts {
    /// Its name.
    pub name: String,
    /// Wait for a worker.
    pub ready: u64,
    /// Are under a lease.
    pub running: u64,
    /// Wait for their time, retries among them.
    pub scheduled: u64,
    /// Ended without success and are kept.
    pub dead: u64,
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

    /// The job with this id, in whichever queue it is.
    pub async fn job(&self, id: &str) -> Result<Option<JobRecord>, QueueError> {
        let queues: Vec<String> = self.queues().await?.into_iter().collect();
        let ids: Vec<(&str, &str)> = queues.iter().map(|queue| (queue.as_str(), id)).collect();
        Ok(self.read(&ids).await?.into_iter().flatten().next())
    }

    /// The newest jobs that fit the filter, the newest first.
    ///
    /// Looks at the newest 1,000 of each queue and state at the most: a name that occurs only further back is not found.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRecord>, QueueError> {
        let limit = filter.limit.clamp(1, MAX_LIMIT);
        let mut found = Vec::new();
        for queue in self.queues().await? {
            if filter.queue.as_ref().is_some_and(|wanted| *wanted != queue) {
                continue;
            }
            // A filter on what the keys do not tell apart needs more than it returns.
            let look_at = if filter.job.is_some() || filter.state.is_some() { MAX_LIMIT } else { limit };
            let ids = self.ids(&queue, filter.state, look_at).await?;
            let ids: Vec<(&str, &str)> = ids.iter().map(|id| (queue.as_str(), id.as_str())).collect();
            found.extend(self.read(&ids).await?.into_iter().flatten());
        }
        found.retain(|job| {
            filter.state.is_none_or(|state| job.state == state)
                && filter.job.as_ref().is_none_or(|name| job.job == *name)
        });
        found.sort_by(|a, b| (b.enqueued_at, &b.id).cmp(&(a.enqueued_at, &a.id)));
        found.truncate(limit);
        Ok(found)
    }

    /// What each queue holds.
    pub async fn counts(&self) -> Result<Vec<QueueCounts>, QueueError> {
        let mut counts = Vec::new();
        for name in self.queues().await? {
            let keys = self.client.queue(&name);
            let (ready, running, scheduled, dead) = redis::pipe()
                .llen(&keys.active)
                .zcard(&keys.leases)
                .zcard(&keys.scheduled)
                .zcard(&keys.dead)
                .query_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("count jobs"))?;
            counts.push(QueueCounts { name, ready, running, scheduled, dead });
        }
        Ok(counts)
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
        let mut pipe = redis::pipe();
        let mut sorted = |key: &str| {
            pipe.zrange(key, newest, -1);
        };
        match state {
            Some(JobState::Running) => sorted(&keys.leases),
            Some(JobState::Scheduled | JobState::Retrying) => sorted(&keys.scheduled),
            Some(JobState::Succeeded) => sorted(&keys.done),
            Some(JobState::Dead | JobState::Cancelled | JobState::Expired) => sorted(&keys.dead),
            Some(JobState::Ready) => {
                pipe.lrange(&keys.active, newest, -1);
            }
            None => {
                for key in [&keys.leases, &keys.scheduled, &keys.done, &keys.dead] {
                    sorted(key);
                }
                pipe.lrange(&keys.active, newest, -1);
            }
        }
        let ids: Vec<Vec<String>> =
            pipe.query_async(&mut self.client.connection()).await.map_err(QueueError::redis("list jobs"))?;
        Ok(ids.into_iter().flatten().collect())
    }

    async fn read(&self, ids: &[(&str, &str)]) -> Result<Vec<Option<JobRecord>>, QueueError> {
        let mut records = Vec::with_capacity(ids.len());
        for group in ids.chunks(200) {
            let mut pipe = redis::pipe();
            for (queue, id) in group {
                let keys = self.client.queue(queue);
                pipe.hget(&keys.data, id).hgetall(keys.meta(id));
            }
            let values: Vec<redis::Value> = pipe
                .query_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("read jobs"))?;
            for ((queue, id), pair) in group.iter().zip(values.chunks(2)) {
                let (data, meta): RawJob = redis::from_redis_value(redis::Value::Array(pair.to_vec()))
                    .map_err(|error| QueueError::redis("read jobs")(error.into()))?;
                let exists = data.is_some() || !meta.is_empty();
                records.push(exists.then(|| JobRecord::from_redis(id, queue, data.as_deref(), &meta)));
            }
        }
        Ok(records)
    }
}
