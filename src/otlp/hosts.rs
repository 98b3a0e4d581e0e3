//! How busy each machine is, for the requests that it answers: what `monitor_system_resources` has sampled last.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_store::{HostNow, Store};
use tokio::sync::Mutex;

/// For how long an answer is good. Samples come every quarter of a minute.
const FRESH: TimeDelta = TimeDelta::seconds(10);
/// How far from a request a sample may be.
const NEAR: TimeDelta = TimeDelta::minutes(1);

/// Samples by the name of their host.
pub(super) type Samples = Arc<HashMap<String, HostNow>>;

/// The latest samples. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    store: Store,
    known: Arc<Mutex<(DateTime<Utc>, Samples)>>,
}

impl Hosts {
    pub(super) fn new(store: Store) -> Self {
        Self { store, known: Arc::new(Mutex::new((DateTime::<Utc>::MIN_UTC, Samples::default()))) }
    }

    /// What is known; what was known before, while Postgres does not answer.
    pub(super) async fn samples(&self, now: DateTime<Utc>) -> Samples {
        let mut known = self.known.lock().await;
        if now - known.0 >= FRESH {
            known.0 = now;
            match self.store.hosts_now(now - NEAR).await {
                Ok(samples) => known.1 = Arc::new(samples),
                // Who stores the request tells people.
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "hosts are unknown"),
            }
        }
        Arc::clone(&known.1)
    }
}

/// The sample of a host that tells of this moment.
pub(super) fn near<'a>(samples: &'a Samples, host: Option<&str>, at: DateTime<Utc>) -> Option<&'a HostNow> {
    samples.get(host?).filter(|sample| (at - sample.sampled_at).abs() <= NEAR)
}
