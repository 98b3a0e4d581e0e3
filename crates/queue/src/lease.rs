//! Leases: the sign of life of every job that this worker holds.
//!
//! A job is covered from the moment it is claimed until its outcome is stored. The heartbeat is a task of its own
//! with a timer of its own: no job and no poll order can starve it. A job whose lease was lost is told to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::script;

/// Renewals a lease survives without: one may be lost, and one may be late.
const RENEWALS_PER_LEASE: u32 = 3;
/// Leases in one script call.
const BATCH: usize = 200;

type Held = HashMap<(Arc<str>, String), (String, CancellationToken)>;

/// All leases that this worker holds.
#[derive(Clone, Default)]
pub(crate) struct Leases(Arc<Mutex<Held>>);

/// One job's lease; given up when dropped.
pub(crate) struct Lease {
    leases: Leases,
    key: (Arc<str>, String),
    token: String,
    lost: CancellationToken,
}

impl Leases {
    /// Notes that a job was claimed.
    pub(crate) fn hold(&self, queue: Arc<str>, id: &str, token: &str) -> Lease {
        let (key, lost) = ((queue, id.to_owned()), CancellationToken::new());
        let before = self.lock().insert(key.clone(), (token.to_owned(), lost.clone()));
        // We claimed it again ourselves: its lease had lapsed while it ran on.
        if let Some((_, before)) = before {
            before.cancel();
        }
        Lease { leases: self.clone(), key, token: token.to_owned(), lost }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews until `end`.
    pub(crate) async fn keep(self, client: Client, lease: Duration, end: CancellationToken) {
        let mut outage = Outage::of("redis");
        let mut beat = tokio::time::interval(lease / RENEWALS_PER_LEASE);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while end.run_until_cancelled(beat.tick()).await.is_some() {
            // Try on at once, not only at the next beat: the lease does not wait.
            while let Err(error) = self.renew(&client, lease).await {
                outage.wait("renew leases", &error).await;
                if end.is_cancelled() {
                    return;
                }
            }
            outage.over();
        }
    }

    async fn renew(&self, client: &Client, lease: Duration) -> Result<(), QueueError> {
        let mut by_queue: HashMap<Arc<str>, Vec<(String, String)>> = HashMap::new();
        for ((queue, id), (token, _)) in self.lock().iter() {
            by_queue.entry(queue.clone()).or_default().push((id.clone(), token.clone()));
        }
        for (queue, held) in by_queue {
            for group in held.chunks(BATCH) {
                let mut call = script::renew(&client.queue(&queue));
                call.arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
                for (id, token) in group {
                    call.arg(id).arg(token);
                }
                let lost: Vec<String> = call
                    .invoke_async(&mut client.connection())
                    .await
                    .map_err(QueueError::redis("renew leases"))?;
                self.lose(&queue, group, lost);
            }
        }
        Ok(())
    }

    fn lose(&self, queue: &Arc<str>, asked: &[(String, String)], lost: Vec<String>) {
        let held = self.lock();
        for id in lost {
            let Some((token, lost)) = held.get(&(queue.clone(), id.clone())) else {
                continue;
            };
            // The job may have been settled and claimed anew while the answer was on its way.
            if asked.iter().any(|(asked_id, asked_token)| *asked_id == id && asked_token == token) {
                lost.cancel();
            }
        }
    }
}

impl Lease {
    /// Waits until the lease is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.leases.lock();
        if held.get(&self.key).is_some_and(|(token, _)| *token == self.token) {
            held.remove(&self.key);
        }
    }
}
