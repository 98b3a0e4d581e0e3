//! What runs first: priorities within a queue, weights between queues, due times to the millisecond.

use std::time::Duration;

use dogwatch_queue::{Clock, NewJob};
use dogwatch_testing::eventually;

use crate::support::{LONG, Queue, note};

#[tokio::test]
async fn a_lower_priority_number_runs_first_and_equals_run_in_their_order() {
    let mut queue = Queue::new().await;
    queue.settings.concurrency = 1;
    for (text, priority) in [("e", 9), ("c", 5), ("b", 1), ("d", 5), ("a", 0), ("f", 9)] {
        queue.enqueue(NewJob { priority, ..note(text) }).await;
    }
    let worker = queue.work();
    eventually(LONG, "all ran", async || queue.ledger.count() == 6).await;
    worker.drain().await;
    assert_eq!(*queue.ledger.runs.lock().unwrap(), ["a", "b", "c", "d", "e", "f"]);
}

#[tokio::test]
async fn an_idle_worker_is_woken_by_a_job_with_a_priority() {
    let mut queue = Queue::new().await;
    queue.settings.poll = Duration::from_secs(10);
    let worker = queue.work();
    eventually(LONG, "the worker waits", async || queue.is_watched().await).await;
    let began = std::time::Instant::now();
    let id = queue.enqueue(NewJob { priority: 9, ..note("a") }).await;
    queue.end_of(&id).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    worker.drain().await;
}

#[tokio::test]
async fn a_delayed_job_that_becomes_the_earliest_starts_at_its_time() {
    let mut queue = Queue::new().await;
    queue.settings.poll = Duration::from_secs(10);
    let worker = queue.work();
    eventually(LONG, "the worker waits", async || queue.is_watched().await).await;
    let late = queue.enqueue(NewJob { delay: Duration::from_mins(10), ..note("late") }).await;
    let due = Clock::system().now() + Duration::from_millis(1234);
    let id = queue.enqueue(NewJob { run_at: Some(due), ..note("a") }).await;
    let job = queue.end_of(&id).await;
    let late_by = (job.started_at.unwrap() - due).num_milliseconds();
    assert!((0..2000).contains(&late_by), "late by {late_by} ms");
    queue.control().cancel(&late).await.unwrap();
    worker.drain().await;
}

#[tokio::test]
async fn queues_are_served_by_weight_and_none_is_starved() {
    let mut queue = Queue::new().await;
    queue.settings.concurrency = 1;
    queue.settings.queues = ["critical:6", "low"].map(str::to_owned).to_vec();
    let jobs = |name: &'static str| (0..300).map(move |_| NewJob { queue: name.to_owned(), ..note(name) });
    queue.producer.enqueue_all(jobs("critical").chain(jobs("low")).collect()).await.unwrap();
    let worker = queue.work();
    eventually(LONG, "a good part ran", async || queue.ledger.count() >= 210).await;
    worker.drain().await;
    let runs = queue.ledger.runs.lock().unwrap();
    let low = runs.iter().take(210).filter(|name| *name == "low").count();
    // 30 are expected; the odds of leaving these bounds are below one in a million.
    assert!((8..60).contains(&low), "{low} of 210 are low");
}
