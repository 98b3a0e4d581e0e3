//! A job belongs to a worker as long as that gives a sign of life; then to another, and only one outcome counts.

use std::time::{Duration, Instant};

use dogwatch_queue::{JobState, NewJob, secs};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use serde_json::json;

use crate::support::{LONG, Queue};

fn sleep(ms: u64) -> NewJob {
    NewJob::new("sleep", json!({ "ms": ms }))
}

#[tokio::test]
async fn a_job_may_run_much_longer_than_its_lease() {
    let queue = Queue::new().await;
    let (first, second) = (queue.work(), queue.work());
    let job = queue.end_of(&queue.enqueue(sleep(5000)).await).await;
    assert_eq!((job.state, job.attempt), (JobState::Succeeded, 1));
    assert_eq!(*queue.ledger.runs.lock().unwrap(), ["begin", "end"]);
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn jobs_of_a_worker_that_died_run_elsewhere_and_the_crash_counts_as_an_attempt() {
    let queue = Queue::new().await;
    let ids: Vec<String> = queue
        .producer
        .enqueue_all((0..3).map(|_| sleep(200)).collect())
        .await
        .unwrap()
        .into_iter()
        .map(|e| e.id)
        .collect();
    // A worker that has claimed and then died: what its claim leaves in Redis.
    let mut redis = queue.redis().await;
    for id in &ids {
        let _: i64 = redis.lrem(queue.key("active"), 1, id).await.unwrap();
        let _: () = redis.zadd(queue.key("leases"), id, 1).await.unwrap();
        let run = "running\t1\tdead:1\tdead-1\t1\t\t\t";
        let _: () = redis.hset(queue.key("run"), id, run).await.unwrap();
    }
    let worker = queue.work();
    for id in &ids {
        let job = queue.end_of(id).await;
        assert_eq!((job.state, job.attempt), (JobState::Succeeded, 2));
        assert_eq!(job.errors[0].error, "worker dead-1 was lost: it stopped renewing its lease");
    }
    worker.drain().await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_dead_after_its_attempts() {
    let queue = Queue::new().await;
    let id = queue.enqueue(NewJob { max_attempts: Some(2), ..sleep(1) }).await;
    let mut redis = queue.redis().await;
    let _: i64 = redis.lrem(queue.key("active"), 1, &id).await.unwrap();
    let _: () = redis.zadd(queue.key("leases"), &id, 1).await.unwrap();
    let _: () = redis.hset(queue.key("run"), &id, "running\t2\tdead:1\tdead-1\t1\t\t\t").await.unwrap();
    let worker = queue.work();
    let job = queue.end_of(&id).await;
    assert_eq!((job.state, job.attempt, queue.ledger.count()), (JobState::Dead, 2, 0));
    worker.drain().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_stops_the_job_and_its_outcome_is_refused() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let id = queue.enqueue(sleep(60_000)).await;
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    // Another worker has claimed it: the fencing token is another.
    let mut redis = queue.redis().await;
    let _: () = redis.hset(queue.key("run"), &id, "running\t1\tanother:1\tanother\t1\t\t\t").await.unwrap();
    let began = Instant::now();
    // Its slot is free again long before the minute is over.
    let others: Vec<_> = queue.producer.enqueue_all((0..4).map(|_| sleep(100)).collect()).await.unwrap();
    for other in others {
        queue.end_of(&other.id).await;
    }
    worker.drain().await;
    assert!(began.elapsed() < secs(15));
    let job = queue.job(&id).await;
    assert_eq!((job.state, job.finished_at), (JobState::Running, None));
}

#[tokio::test]
async fn two_workers_never_run_a_job_twice() {
    let mut queue = Queue::new().await;
    queue.settings.concurrency = 16;
    let workers = [queue.work(), queue.work(), queue.work()];
    let jobs = (0..2000).map(|n| crate::support::note(&n.to_string())).collect();
    queue.producer.enqueue_all(jobs).await.unwrap();
    let done = async || {
        let counts = queue.inspector.counts().await.unwrap();
        counts[0].ready + counts[0].running == 0
    };
    eventually(Duration::from_mins(1), "all have run", done).await;
    for worker in workers {
        worker.drain().await;
    }
    assert_eq!(queue.ledger.count(), 2000);
}

#[tokio::test]
async fn an_outcome_whose_answer_was_lost_is_accepted_when_it_is_offered_again() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let id = queue.enqueue(sleep(1)).await;
    let settled = queue.end_of(&id).await;
    let mut redis = queue.redis().await;
    let run: String = redis.hget(queue.key("run"), &id).await.unwrap();
    let token = run.split('\t').nth(2).unwrap().to_owned();
    // The script as the worker calls it, once more.
    let script = concat!("#!lua\n", include_str!("../../lua/lib.lua"), include_str!("../../lua/settle.lua"));
    let offer = async |token: &str, redis: &mut redis::aio::MultiplexedConnection| {
        let script = redis::Script::new(script);
        let mut call = script.key(queue.prefix());
        call.arg(1000)
            .arg(1000)
            .arg(&id)
            .arg(token)
            .arg("dead")
            .arg("late")
            .arg("")
            .arg("sleep")
            .arg("")
            .arg("")
            .arg("");
        call.invoke_async::<Vec<i64>>(redis).await.unwrap()
    };
    assert_eq!(offer(&token, &mut redis).await, [1]);
    assert_eq!(offer("0", &mut redis).await, [0]);
    assert_eq!((settled.state, queue.job(&id).await.state), (JobState::Succeeded, JobState::Succeeded));
    worker.drain().await;
}
