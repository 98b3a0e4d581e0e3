//! What a job knows of its own run, and how it is told to stop.

use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// The context of a job, and what is known of this run of it. Reads like the context itself.
#[derive(Debug)]
pub struct Run<C> {
    context: Arc<C>,
    about: Arc<About>,
}

/// What is known of one run.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) id: Arc<str>,
    pub(crate) queue: Arc<str>,
    pub(crate) worker: Arc<str>,
    pub(crate) token: String,
    pub(crate) attempt: u32,
    pub(crate) schedule: Option<String>,
    pub(crate) slot_ms: Option<i64>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) drain: CancellationToken,
}

/// What passes between a run and the keeper of its lease.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Another claim decides about the job now.
    pub(crate) lost: CancellationToken,
    /// Somebody has called the job off.
    pub(crate) cancelled: CancellationToken,
    /// The name of the job, once its payload was read.
    pub(crate) job: OnceLock<String>,
    /// What the job said last of its progress and was not passed on yet.
    progress: Mutex<Option<String>>,
}

impl Signals {
    pub(crate) fn take_progress(&self) -> Option<String> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Unless there is something newer.
    pub(crate) fn put_progress_back(&self, progress: String) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(progress);
    }
}

impl<C> Run<C> {
    pub(crate) fn new(context: Arc<C>, about: Arc<About>) -> Self {
        Self { context, about }
    }

    /// A run that no worker has made, for tests of a job by itself.
    pub fn detached(context: C) -> Self {
        let about = About {
            id: "detached".into(),
            queue: "default".into(),
            worker: "none".into(),
            token: String::new(),
            attempt: 1,
            schedule: None,
            slot_ms: None,
            signals: Arc::default(),
            drain: CancellationToken::new(),
        };
        Self::new(Arc::new(context), Arc::new(about))
    }

    /// The job's identity.
    pub fn id(&self) -> &str {
        &self.about.id
    }

    /// The queue it came from.
    pub fn queue(&self) -> &str {
        &self.about.queue
    }

    /// The number of this attempt; the first is 1.
    pub fn attempt(&self) -> u32 {
        self.about.attempt
    }

    /// The fencing token of this claim: no other claim of any job ever has the same.
    pub fn token(&self) -> &str {
        &self.about.token
    }

    /// The worker that runs it.
    pub fn worker(&self) -> &str {
        &self.about.worker
    }

    /// The schedule that enqueued it.
    pub fn schedule(&self) -> Option<&str> {
        self.about.schedule.as_deref()
    }

    /// The nominal time for which the schedule enqueued it, in ms since 1970.
    pub fn slot_ms(&self) -> Option<i64> {
        self.about.slot_ms
    }

    /// Tells people how far the job is; seen in the job's `progress` within a second or so. Cheap: only the last one
    /// said is kept.
    pub fn progress(&self, progress: impl Serialize) {
        if let Ok(text) = serde_json::to_string(&progress) {
            *self.about.signals.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
    }

    /// Waits until the job should stop: somebody has cancelled it, or its lease was lost and another worker runs it.
    /// A job that does not stop is stopped a little later.
    pub async fn cancelled(&self) {
        let Signals { lost, cancelled, .. } = &*self.about.signals;
        tokio::select! {
            () = lost.cancelled() => {}
            () = cancelled.cancelled() => {}
        }
    }

    /// Whether the job should stop.
    pub fn is_cancelled(&self) -> bool {
        self.about.signals.lost.is_cancelled() || self.about.signals.cancelled.is_cancelled()
    }

    /// Waits until the worker is told to end. What has not ended when its time is over is given back and runs
    /// elsewhere; a long job can stop at a good place by `JobError::snooze`.
    pub async fn draining(&self) {
        self.about.drain.cancelled().await;
    }
}

impl<C> Deref for Run<C> {
    type Target = C;
    fn deref(&self) -> &C {
        &self.context
    }
}
