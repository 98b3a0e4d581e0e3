//! A unique key is held by its job and by nothing else: it cannot outlive it.

use std::time::Duration;

use dogwatch_queue::{Enqueued, JobState, NewJob, Unique, UniqueUntil};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use serde_json::json;

use crate::support::{LONG, Queue, behave, note};

fn unique(job: NewJob, until: UniqueUntil) -> NewJob {
    NewJob { unique: Some(Unique { key: "report of today".to_owned(), until }), ..job }
}

async fn enqueue(queue: &Queue, job: NewJob) -> Enqueued {
    queue.producer.enqueue(job).await.unwrap()
}

#[tokio::test]
async fn until_done_a_second_one_is_not_enqueued_and_the_first_is_named() {
    let queue = Queue::new().await;
    let first = enqueue(&queue, unique(note("a"), UniqueUntil::Done)).await;
    let second = enqueue(&queue, unique(note("b"), UniqueUntil::Done)).await;
    assert_eq!((second.id, second.is_new), (first.id.clone(), false));
    let worker = queue.work();
    assert_eq!(queue.end_of(&first.id).await.unique_key.as_deref(), Some("report of today"));
    let third = enqueue(&queue, unique(note("c"), UniqueUntil::Done)).await;
    assert!(third.is_new, "the key is free again");
    queue.end_of(&third.id).await;
    worker.drain().await;
    assert_eq!(*queue.ledger.runs.lock().unwrap(), ["a", "c"]);
}

#[tokio::test]
async fn until_started_one_waits_beside_the_one_that_runs() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let sleep = || unique(NewJob::new("sleep", json!({ "ms": 500 })), UniqueUntil::Started);
    let first = enqueue(&queue, sleep()).await;
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    let second = enqueue(&queue, sleep()).await;
    assert!(first.is_new && second.is_new);
    queue.end_of(&first.id).await;
    queue.end_of(&second.id).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_window_outlives_the_job_and_ends_by_itself() {
    let queue = Queue::new().await;
    let window = || unique(note("a"), UniqueUntil::Window(Duration::from_millis(600)));
    let first = enqueue(&queue, window()).await;
    let worker = queue.work();
    queue.end_of(&first.id).await;
    assert!(!enqueue(&queue, window()).await.is_new, "it has ended, and the window has not");
    eventually(LONG, "the window ends", async || enqueue(&queue, window()).await.is_new).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_key_is_free_when_its_job_is_dead_cancelled_or_gone() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let dead = enqueue(&queue, unique(behave("discard"), UniqueUntil::Done)).await;
    assert_eq!(queue.end_of(&dead.id).await.state, JobState::Dead);
    worker.drain().await;
    let cancelled = enqueue(&queue, unique(note("a"), UniqueUntil::Done)).await;
    assert!(cancelled.is_new);
    queue.control().cancel(&cancelled.id).await.unwrap();
    let gone = enqueue(&queue, unique(note("b"), UniqueUntil::Done)).await;
    assert!(gone.is_new);
    // However its job vanished, a lock that nobody holds keeps nobody out.
    let mut redis = queue.redis().await;
    let _: () = redis.hdel(queue.key("data"), &gone.id).await.unwrap();
    assert!(enqueue(&queue, unique(note("c"), UniqueUntil::Done)).await.is_new);
}
