//! Brings results to the Redis where Celery's clients look for them, when it is not the queue's.
//!
//! The script that ends a job can write to the Redis of the queue alone. So it keeps the results in a list
//! there, in the same step, and one worker at a time takes them from there to their place. Each is removed
//! only after it was stored, so that none is lost; one may be stored twice, which changes nothing.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::script::Step;
use crate::wake::Watchers;

/// How long a result is kept: Celery's own `result_expires`.
const KEPT: Duration = Duration::from_hours(24);
/// How long a worker has its turn without a sign of life: longer than it waits for any answer of Redis.
const TURN: Duration = Duration::from_secs(20);
/// How long a worker waits while another has its turn.
const OTHERS_TURN: Duration = Duration::from_secs(1);
/// How long results are still stored when the worker has to end.
const LAST_CALL: Duration = Duration::from_secs(1);
/// Results and bytes in one step.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 1024 * 1024;

/// The task that does so, for the queue that Celery's tasks are in.
pub(crate) struct ResultRelay {
    client: Client,
    results: Client,
    queue: String,
    worker: Arc<str>,
    poll: Duration,
}

/// A result that waits, as `lib.lua` writes it.
#[derive(Deserialize)]
struct Waiting {
    key: String,
    value: String,
}

impl ResultRelay {
    /// Absent where results belong into the queue's own Redis.
    pub(crate) fn new(client: &Client, settings: &crate::Settings, worker: &Arc<str>) -> Option<Self> {
        let url = settings.celery.results_elsewhere(settings.url.as_ref())?;
        let results = match Client::open(url.expose_secret(), &settings.namespace) {
            Ok(results) => results,
            Err(error) => {
                tracing::error!(error = crate::error_chain(&error), "[celery] results is not usable");
                return None;
            }
        };
        let (queue, poll) = (settings.celery.into.clone(), settings.poll);
        Some(Self { client: client.clone(), results, queue, worker: worker.clone(), poll })
    }

    /// Stores results until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let list = self.client.queue(&self.queue).family("replies");
        let watchers = Watchers::start(&self.client, std::iter::once(list), "LEFT", self.poll);
        let mut outage = Outage::of("redis");
        let (mut stored, mut dropped) = (Vec::new(), None);
        let work = async {
            loop {
                match self.step(&mut stored, &mut dropped).await {
                    Ok(Some(true)) => outage.over(),
                    Ok(Some(false)) => {
                        outage.over();
                        watchers.wait(&[0], self.poll).await;
                    }
                    Ok(None) => tokio::time::sleep(OTHERS_TURN).await,
                    Err(error) => outage.wait("store results of Celery tasks", &error).await,
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
        // What the last jobs returned; where this fails, another worker goes on.
        let remaining = async { while let Ok(Some(true)) = self.step(&mut stored, &mut dropped).await {} };
        let _ = tokio::time::timeout(LAST_CALL, remaining).await;
    }

    /// Stores some. False when none waits, `None` while another worker has its turn.
    async fn step(
        &self,
        stored: &mut Vec<Vec<u8>>,
        dropped: &mut Option<u64>,
    ) -> Result<Option<bool>, QueueError> {
        let keys = self.client.queue(&self.queue);
        let mut call = self.client.step(Step::CeleryReplies, &keys);
        call.arg(&*self.worker).arg(u64::try_from(TURN.as_millis()).unwrap_or(u64::MAX));
        call.arg(BATCH).arg(BATCH_BYTES);
        for text in &*stored {
            call.arg(text);
        }
        let answer: Option<Vec<Vec<u8>>> = call
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("read results of Celery tasks"))?;
        stored.clear();
        let Some(mut waiting) = answer else { return Ok(None) };
        let total = waiting.drain(..1.min(waiting.len())).next().unwrap_or_default();
        let total = String::from_utf8_lossy(&total).parse().unwrap_or_default();
        if let Some(new) =
            dropped.replace(total).map(|before| total.saturating_sub(before)).filter(|n| *n > 0)
        {
            tracing::error!(count = new, "results of Celery tasks were dropped: too many wait to be stored");
        }
        if waiting.is_empty() {
            return Ok(Some(false));
        }
        let mut pipe = redis::pipe();
        for Waiting { key, value } in waiting.iter().filter_map(|text| serde_json::from_slice(text).ok()) {
            pipe.set_ex(&key, &value, KEPT.as_secs()).ignore().publish(&key, &value).ignore();
        }
        if let Err(error) = pipe.query_async::<()>(&mut self.results.connection()).await {
            // Another worker may reach what this one does not.
            let mut command = redis::cmd("DEL");
            command.arg(keys.family("replies_turn"));
            let given_up = command.query_async::<()>(&mut self.client.connection()).await;
            given_up.map_err(QueueError::redis("store results of Celery tasks"))?;
            return Err(QueueError::redis("store results of Celery tasks")(error));
        }
        *stored = waiting;
        Ok(Some(true))
    }
}
