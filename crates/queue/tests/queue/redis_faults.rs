//! A Redis that is killed, restarted or away stops no worker, drops no running job and loses no outcome.

use dogwatch_queue::{JobState, NewJob};
use dogwatch_testing::{TestRedis, eventually};
use serde_json::json;

use crate::support::{LONG, Queue, note};

#[tokio::test]
async fn a_killed_and_restarted_redis_drops_no_running_job_and_the_worker_goes_on() {
    let mut redis = TestRedis::private().await;
    let queue = Queue::on(&redis.url(), "faults");
    // Each write is on disk before it is acknowledged: everysec may lose a second's.
    let mut admin = queue.redis().await;
    let _: () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("appendfsync")
        .arg("always")
        .query_async(&mut admin)
        .await
        .unwrap();
    let worker = queue.work();
    let running = queue.enqueue(NewJob::new("sleep", json!({"ms": 1500}))).await;
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    redis.kill();
    eventually(LONG, "it ends while Redis is away", async || queue.ledger.count() == 2).await;
    redis.restart().await;
    let done = async || {
        queue.inspector.job(&running).await.is_ok_and(|job| job.is_some_and(|job| job.state.has_ended()))
    };
    eventually(LONG, "the job has ended", done).await;
    let job = queue.job(&running).await;
    assert_eq!((job.state, job.attempt, queue.ledger.count()), (JobState::Succeeded, 1, 2));
    let next = queue.enqueue(note("after")).await;
    assert_eq!(queue.end_of(&next).await.state, JobState::Succeeded);
    worker.drain().await;
}

#[tokio::test]
async fn a_worker_that_starts_before_its_redis_waits_for_it() {
    let mut redis = TestRedis::private().await;
    redis.kill();
    let queue = Queue::on(&redis.url(), "late");
    let worker = queue.work();
    assert!(!worker.task.is_finished());
    redis.restart().await;
    let enqueued =
        async || queue.producer.enqueue(NewJob { id: Some("x".to_owned()), ..note("a") }).await.is_ok();
    eventually(LONG, "it is enqueued", enqueued).await;
    assert_eq!(queue.end_of("x").await.state, JobState::Succeeded);
    worker.drain().await;
}

#[tokio::test]
async fn a_worker_whose_redis_is_away_stops_when_it_is_told() {
    let mut redis = TestRedis::private().await;
    let queue = Queue::on(&redis.url(), "away");
    let worker = queue.work();
    queue.end_of(&queue.enqueue(note("a")).await).await;
    redis.kill();
    worker.drain().await;
}
