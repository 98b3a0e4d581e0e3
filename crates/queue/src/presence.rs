//! Who works: what a worker says of itself, so that people see where their jobs are.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::client::Client;
use crate::clock::Clock;
use crate::error::QueueError;
use crate::lease::Leases;
use crate::outage::Outage;
use crate::settings::Settings;

const BEAT: Duration = Duration::from_secs(5);
/// A worker that was not heard of for so long is gone.
const GONE: Duration = Duration::from_secs(20);
/// Running jobs that a worker tells of.
const MOST: usize = 200;

/// A worker as people see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkerInfo {
    /// Who it is in leases and records; new at every start.
    pub id: String,
    /// The machine.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// The version of the program.
    pub version: String,
    /// Queues that it serves, with their weights.
    pub queues: Vec<String>,
    /// Jobs that it runs at the same time.
    pub concurrency: usize,
    /// Since when it works.
    pub started_at: DateTime<Utc>,
    /// When it was heard of last.
    pub seen_at: DateTime<Utc>,
    /// Whether it was told to stop.
    pub draining: bool,
    /// What it runs, the oldest first; at most 200.
    pub running: Vec<RunningJob>,
}

/// A job that runs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunningJob {
    /// Its identity.
    pub id: String,
    /// Its name; empty until its payload was read.
    pub job: String,
    /// The queue it came from.
    pub queue: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// Since when it runs.
    pub since: DateTime<Utc>,
}

/// The task that says so.
pub(crate) struct Presence {
    client: Client,
    clock: Clock,
    leases: Leases,
    drain: CancellationToken,
    info: WorkerInfo,
}

impl Presence {
    pub(crate) fn new(
        client: Client,
        identity: &Arc<str>,
        host: &str,
        settings: &Settings,
        leases: Leases,
        drain: CancellationToken,
    ) -> Self {
        let clock = Clock::system();
        let now = clock.now();
        let info = WorkerInfo {
            id: identity.to_string(),
            host: host.to_owned(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queues: settings.queues.clone(),
            concurrency: settings.concurrency,
            started_at: now,
            seen_at: now,
            draining: false,
            running: Vec::new(),
        };
        Self { client, clock, leases, drain, info }
    }

    /// Says it until `end`, and then that the worker is gone.
    pub(crate) async fn keep(mut self, end: CancellationToken) {
        let mut outage = Outage::of("redis");
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while end.run_until_cancelled(beat.tick()).await.is_some() {
            match end.run_until_cancelled(self.say()).await {
                Some(Ok(())) => outage.over(),
                Some(Err(error)) => {
                    end.run_until_cancelled(outage.wait("tell of this worker", &error)).await;
                }
                None => break,
            }
        }
        let global = self.client.global();
        let mut pipe = redis::pipe();
        pipe.del(global.worker(&self.info.id)).ignore().zrem(global.workers, &self.info.id).ignore();
        // Best effort: what is left expires.
        let mut connection = self.client.connection();
        let gone = pipe.query_async::<()>(&mut connection);
        let _ = tokio::time::timeout(Duration::from_secs(1), gone).await;
    }

    async fn say(&mut self) -> Result<(), QueueError> {
        for queue in &self.info.queues {
            self.client.announce(queue.split(':').next().unwrap_or_default()).await?;
        }
        self.info.seen_at = self.clock.now();
        self.info.draining = self.drain.is_cancelled();
        let entry = |entry: crate::lease::Entry| RunningJob {
            id: entry.id.to_string(),
            job: entry.signals.job.get().cloned().unwrap_or_default(),
            queue: entry.queue.to_string(),
            attempt: entry.attempt,
            since: entry.since,
        };
        self.info.running = self.leases.held().into_iter().take(MOST).map(entry).collect();
        let text = serde_json::to_string(&self.info).unwrap_or_default();
        let global = self.client.global();
        let gone = self.info.seen_at - GONE;
        redis::pipe()
            .set_ex(global.worker(&self.info.id), text, GONE.as_secs())
            .ignore()
            .zadd(&global.workers, &self.info.id, self.info.seen_at.timestamp_millis())
            .ignore()
            .zrembyscore(&global.workers, "-inf", gone.timestamp_millis())
            .ignore()
            .query_async::<()>(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("tell of this worker"))
    }
}

/// The workers that were heard of lately.
pub(crate) async fn list(client: &Client) -> Result<Vec<WorkerInfo>, QueueError> {
    let global = client.global();
    let reading = QueueError::redis("list the workers");
    let ids: Vec<String> = match redis::cmd("ZRANGE")
        .arg(&global.workers)
        .arg(0)
        .arg(-1)
        .query_async(&mut client.connection())
        .await
    {
        Ok(ids) => ids,
        Err(error) => return Err(reading(error)),
    };
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut get = redis::cmd("MGET");
    for id in &ids {
        get.arg(global.worker(id));
    }
    let texts: Vec<Option<String>> = get.query_async(&mut client.connection()).await.map_err(reading)?;
    let mut workers: Vec<WorkerInfo> =
        texts.into_iter().flatten().filter_map(|text| serde_json::from_str(&text).ok()).collect();
    workers.sort_by(|a, b| (&a.host, a.started_at).cmp(&(&b.host, b.started_at)));
    Ok(workers)
}
