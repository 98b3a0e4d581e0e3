//! Jobs whose name this worker does not know.
//!
//! "I cannot run this" does not mean that nobody can: during a deployment old workers get jobs of new names, and two
//! programs may share a queue. Such a job is put back for a while without using an attempt (`settle.lua`). A worker that
//! gets many of them leaves the queue alone for a moment; one that gets any lets idle workers beside it claim first
//! what becomes due, so that these jobs do not come back to it again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::log_limit::LogLimit;

/// More unknown jobs than this in [`WINDOW`] are too many.
const MOST: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(10);
/// How long a queue with too many is left alone. Known jobs may wait behind them, so it is short.
const LEFT_ALONE: Duration = Duration::from_millis(500);
/// How long an idle worker lets others go first after it was woken, while unknown jobs come back.
const POLITE_PAUSE: Duration = Duration::from_millis(50);
/// Longer than a job is put back for.
const COMES_BACK: Duration = Duration::from_mins(1);

/// What a worker has seen of them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnknownJobs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: LogLimit,
    last: Mutex<Option<Instant>>,
    queues: Mutex<HashMap<Arc<str>, Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
    left_alone_until: Option<Instant>,
}

impl UnknownJobs {
    /// Counts a job that was claimed.
    pub(crate) fn count(&self, queue: &Arc<str>, name: &str) {
        if let Some(due) = self.0.names.count(name) {
            tracing::warn!(
                queue.name = &**queue,
                job.name = due.name,
                jobs = due.count,
                "this worker does not know job `{}`; put back for a worker that does",
                due.name
            );
        }
        let now = Instant::now();
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let mut queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let window =
            queues.entry(queue.clone()).or_insert(Window { since: now, count: 0, left_alone_until: None });
        if now - window.since >= WINDOW {
            (window.since, window.count) = (now, 0);
        }
        window.count += 1;
        if window.count > MOST {
            (window.since, window.count) = (now, 0);
            window.left_alone_until = Some(now + LEFT_ALONE);
            tracing::warn!(
                queue.name = &**queue,
                "more than {MOST} unknown jobs in {WINDOW:?}: this worker claims none of this queue for {LEFT_ALONE:?}"
            );
        }
    }

    /// Lets other workers claim first what has just become due.
    pub(crate) async fn let_others_first(&self) {
        let last = *self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < COMES_BACK) {
            tokio::time::sleep(POLITE_PAUSE).await;
        }
    }

    /// Whether nothing is claimed of this queue now.
    pub(crate) fn leaves_alone(&self, queue: &Arc<str>) -> bool {
        let queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let until = queues.get(queue).and_then(|window| window.left_alone_until);
        until.is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_with_too_many_unknown_jobs_is_left_alone_for_a_while() {
        let (unknown, queue, other) = (UnknownJobs::default(), Arc::from("default"), Arc::from("other"));
        for _ in 0..MOST {
            unknown.count(&queue, "new");
        }
        assert!(!unknown.leaves_alone(&queue));
        unknown.count(&queue, "new");
        assert!(unknown.leaves_alone(&queue) && !unknown.leaves_alone(&other));
        tokio::time::advance(LEFT_ALONE).await;
        assert!(!unknown.leaves_alone(&queue));
    }

    #[tokio::test(start_paused = true)]
    async fn few_unknown_jobs_at_a_time_are_not_too_many() {
        let (unknown, queue) = (UnknownJobs::default(), Arc::from("default"));
        for _ in 0..5 {
            for _ in 0..MOST {
                unknown.count(&queue, "new");
            }
            tokio::time::advance(WINDOW).await;
        }
        assert!(!unknown.leaves_alone(&queue));
    }
}
