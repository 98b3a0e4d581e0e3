//! A worker that is told to stop finishes what it can and gives the rest back, without using an attempt.

use std::time::{Duration, Instant};

use dogwatch_queue::{JobState, NewJob, secs};
use dogwatch_testing::eventually;
use serde_json::json;

use crate::support::{LONG, Queue, note};

fn sleep(ms: u64) -> NewJob {
    NewJob::new("sleep", json!({ "ms": ms }))
}

#[tokio::test]
async fn an_idle_worker_stops_at_once() {
    let mut queue = Queue::new().await;
    queue.settings.poll = secs(10);
    let worker = queue.work();
    queue.end_of(&queue.enqueue(note("a")).await).await;
    let told = Instant::now();
    worker.drain().await;
    assert!(told.elapsed() < secs(2), "{:?}", told.elapsed());
}

#[tokio::test]
async fn what_runs_comes_to_its_end_and_nothing_new_begins() {
    let mut queue = Queue::new().await;
    queue.settings.concurrency = 1;
    let running = queue.enqueue(sleep(1500)).await;
    let waiting = queue.enqueue(sleep(1)).await;
    let worker = queue.work();
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    worker.drain().await;
    assert_eq!(queue.job(&running).await.state, JobState::Succeeded);
    // Begun and ended: one job.
    assert_eq!((queue.job(&waiting).await.state, queue.ledger.count()), (JobState::Ready, 2));
}

#[tokio::test]
async fn what_does_not_end_in_time_is_given_back_without_using_an_attempt() {
    let mut queue = Queue::new().await;
    queue.settings.drain = Duration::from_millis(300);
    let id = queue.enqueue(sleep(60_000)).await;
    let worker = queue.work();
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    worker.drain().await;
    let job = queue.job(&id).await;
    assert_eq!((job.state, job.attempt, job.worker), (JobState::Ready, 0, None));
    let counts = queue.inspector.counts().await.unwrap();
    assert_eq!((counts[0].ready, counts[0].running), (1, 0));
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let mut queue = Queue::new().await;
    queue.settings.drain = secs(60);
    let id = queue.enqueue(sleep(60_000)).await;
    let worker = queue.work();
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    worker.stop.drain.cancel();
    worker.stop.now.cancel();
    worker.drain().await;
    assert_eq!(queue.job(&id).await.state, JobState::Ready);
}
