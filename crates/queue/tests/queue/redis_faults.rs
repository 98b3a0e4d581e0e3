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

#[tokio::test]
async fn an_outcome_survives_a_rotation_of_the_password() {
    let redis = TestRedis::private().await;
    let queue = Queue::on(&redis.url(), "rotation");
    let worker = queue.work();
    let running = queue.enqueue(NewJob::new("sleep", json!({"ms": 500}))).await;
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    // This connection has logged in already, and stays.
    let mut admin = queue.redis().await;
    let mut set = async |password: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("requirepass").arg(password);
        set.query_async::<()>(&mut admin).await.unwrap();
        let mut cut = redis::cmd("CLIENT");
        cut.arg("KILL").arg("TYPE").arg("normal").query_async::<i64>(&mut admin).await.unwrap();
    };
    set("another").await;
    eventually(LONG, "it ends", async || queue.ledger.count() == 2).await;
    let mut observer = redis::Client::open(queue.url.as_str()).unwrap().get_connection_info().clone();
    observer = observer.clone().set_redis_settings(observer.redis_settings().clone().set_password("another"));
    let mut observer =
        redis::Client::open(observer).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut refused = async || {
        let info: String = redis::cmd("INFO").arg("errorstats").query_async(&mut observer).await.unwrap();
        let counts = info.lines().filter_map(|line| line.strip_prefix("errorstat_")?.split_once(":count="));
        counts.filter_map(|(_, count)| count.parse::<u32>().ok()).sum::<u32>()
    };
    let before = refused().await;
    eventually(LONG, "the outcome was refused again and again", async || refused().await > before + 12).await;
    set("").await;
    assert_eq!(queue.end_of(&running).await.state, JobState::Succeeded);
    let job = queue.job(&running).await;
    assert_eq!((job.attempt, job.errors.len(), queue.ledger.count()), (1, 0, 2));
    worker.drain().await;
}
