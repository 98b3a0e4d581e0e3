//! A failure is tried again from Redis, as often and as late as the job's policy says.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dogwatch_queue::{JobState, NewJob};

use crate::support::{Queue, behave};

#[tokio::test]
async fn a_failed_job_is_tried_again_and_its_failures_are_remembered() {
    let queue = Queue::new().await;
    queue.ledger.failures_left.store(2, Ordering::SeqCst);
    let worker = queue.work();
    let job = queue.end_of(&queue.enqueue(behave("fail")).await).await;
    assert_eq!((job.state, job.attempt), (JobState::Succeeded, 3));
    let errors: Vec<_> = job.errors.iter().map(|failed| (failed.attempt, failed.error.as_str())).collect();
    assert_eq!(errors, [(1, "it did not work"), (2, "it did not work")]);
    worker.drain().await;
}

#[tokio::test]
async fn attempts_end_at_the_jobs_maximum_or_at_that_of_the_one_who_enqueued() {
    let queue = Queue::new().await;
    queue.ledger.failures_left.store(u32::MAX, Ordering::SeqCst);
    let worker = queue.work();
    for (max_attempts, expected) in [(None, 3), (Some(1), 1), (Some(5), 5)] {
        let id = queue.enqueue(NewJob { max_attempts, ..behave("fail") }).await;
        let job = queue.end_of(&id).await;
        assert_eq!((job.state, job.attempt), (JobState::Dead, expected));
        assert_eq!(job.error.as_deref(), Some("it did not work"));
    }
    worker.drain().await;
}

#[tokio::test]
async fn a_panic_and_a_job_that_hangs_are_failures_like_others() {
    let queue = Queue::new().await;
    let worker = queue.work();
    for (how, error) in [("panic", "panicked: oh no"), ("hang", "stopped at its time limit of 300ms")] {
        queue.ledger.failures_left.store(1, Ordering::SeqCst);
        let id = queue.enqueue(NewJob { timeout: Some(Duration::from_millis(300)), ..behave(how) }).await;
        let job = queue.end_of(&id).await;
        assert_eq!((job.state, job.attempt, job.errors[0].error.as_str()), (JobState::Succeeded, 2, error));
    }
    worker.drain().await;
}

#[tokio::test]
async fn a_job_says_itself_when_it_is_to_be_tried_again() {
    let queue = Queue::new().await;
    queue.ledger.failures_left.store(1, Ordering::SeqCst);
    let worker = queue.work();
    let job = queue.end_of(&queue.enqueue(behave("retry_after")).await).await;
    let waited = (job.started_at.unwrap() - job.enqueued_at.unwrap()).num_milliseconds();
    assert!(waited >= 300, "{waited} ms");
    assert_eq!(job.attempt, 2);
    worker.drain().await;
}

#[tokio::test]
async fn a_snooze_uses_no_attempt() {
    let queue = Queue::new().await;
    queue.ledger.failures_left.store(10, Ordering::SeqCst);
    let worker = queue.work();
    let job = queue.end_of(&queue.enqueue(behave("snooze")).await).await;
    assert_eq!((job.state, job.attempt), (JobState::Succeeded, 1));
    assert_eq!(queue.ledger.count(), 11);
    worker.drain().await;
}
