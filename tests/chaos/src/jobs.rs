//! The jobs of the run: each does what its arguments say and writes down when it begins and when it ends.

use std::sync::Arc;
use std::time::Duration;

use dogwatch_queue::{Job, JobError, Registry, Retry, Run, secs};
use serde::{Deserialize, Serialize};

use crate::event::{How, What};
use crate::ledger::Ledger;

/// Attempts where the one who enqueues says nothing.
pub(crate) const ATTEMPTS: u32 = 6;
/// How many `limited` jobs may run at once.
pub(crate) const LIMIT: u32 = 2;
const RETRY: Retry = Retry::exponential(ATTEMPTS, Duration::from_millis(50), Duration::from_millis(800));

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    /// Takes its time and succeeds.
    Work,
    /// Keeps a thread busy, as a job that computes does.
    Compute,
    /// Fails in its first attempts.
    Fail,
    /// Panics in its first attempt.
    Panic,
    /// Is not ready yet, at every other time.
    Snooze,
    /// Makes no sense.
    Discard,
    /// Stops when it is told to.
    Obey,
}

/// What a job is told to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) deed: Deed,
    pub(crate) ms: u64,
    /// Attempts that fail.
    #[serde(default)]
    pub(crate) failures: u32,
}

/// Does as it is told.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Act(Order);

/// The same, but only so many at once.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Limited(Order);

/// A name that the program lets through.
pub(crate) const THROUGH_A_DOOR: &str = "check_service_health";

/// The order is written in the name of the only service.
#[derive(Serialize, Deserialize)]
struct ThroughADoor {
    services: [String; 1],
}

impl Job for ThroughADoor {
    const NAME: &'static str = THROUGH_A_DOOR;
    const RETRY: Retry = RETRY;
    const TIMEOUT: Duration = secs(30);
    type Context = Arc<Ledger>;
    type Outcome = u64;
    async fn run(self, cx: &Run<Arc<Ledger>>) -> Result<u64, JobError> {
        match serde_json::from_str(&self.services[0]) {
            Ok(order) => observed(order, cx).await,
            Err(error) => Err(JobError::discard(error.to_string())),
        }
    }
}

macro_rules! job {
    ($type:ident, $name:literal) => {
        impl Job for $type {
            const NAME: &'static str = $name;
            const RETRY: Retry = RETRY;
            const TIMEOUT: Duration = secs(30);
            type Context = Arc<Ledger>;
            type Outcome = u64;
            async fn run(self, cx: &Run<Arc<Ledger>>) -> Result<u64, JobError> {
                observed(self.0, cx).await
            }
        }
    };
}
job!(Act, "act");
job!(Limited, "limited");

pub(crate) fn registry() -> Registry<Arc<Ledger>> {
    Registry::new().with::<Act>().with::<Limited>().with::<ThroughADoor>()
}

/// Of the version before `limited` was there.
pub(crate) fn old_registry() -> Registry<Arc<Ledger>> {
    Registry::new().with::<Act>().with::<ThroughADoor>()
}

/// Writes the end of a run down, in whatever way it comes.
struct Observed<'a> {
    cx: &'a Run<Arc<Ledger>>,
    how: Option<How>,
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        let otherwise = if std::thread::panicking() { How::Panicked } else { How::Dropped };
        let (id, token) = (self.cx.id().to_owned(), self.cx.token().to_owned());
        self.cx.write(What::Ended { id, token, how: self.how.unwrap_or(otherwise) });
    }
}

async fn observed(order: Order, cx: &Run<Arc<Ledger>>) -> Result<u64, JobError> {
    cx.write(What::Begun {
        id: cx.id().to_owned(),
        attempt: cx.attempt(),
        token: cx.token().to_owned(),
        schedule: cx.schedule().map(str::to_owned),
        slot_ms: cx.slot_ms(),
    });
    let mut observed = Observed { cx, how: None };
    let (how, result) = perform(order, cx).await;
    observed.how = Some(how);
    result
}

async fn perform(order: Order, cx: &Run<Arc<Ledger>>) -> (How, Result<u64, JobError>) {
    let time = Duration::from_millis(order.ms);
    match order.deed {
        Deed::Compute => {
            let began = std::time::Instant::now();
            while began.elapsed() < time {
                std::hint::spin_loop();
            }
        }
        Deed::Obey => {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = cx.cancelled() => return (How::Obeyed, Err(JobError::retry("was told to stop"))),
            }
        }
        _ => tokio::time::sleep(time).await,
    }
    match order.deed {
        Deed::Fail if cx.attempt() <= order.failures => (How::Failed, Err(JobError::retry("did not work"))),
        Deed::Panic if cx.attempt() == 1 => panic!("a job that panics"),
        Deed::Snooze if rand::random::<bool>() => {
            (How::Snoozed, Err(JobError::snooze(Duration::from_millis(200))))
        }
        Deed::Discard => (How::Discarded, Err(JobError::discard("makes no sense"))),
        _ => (How::Done, Ok(order.ms)),
    }
}
