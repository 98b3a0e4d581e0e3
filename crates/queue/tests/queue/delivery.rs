//! Enqueued jobs are run, in order, at their time, as many at once as there are slots.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dogwatch_queue::{JobFilter, JobState, NewJob, QueueError};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use serde_json::json;

use crate::support::{LONG, Queue, note};

#[tokio::test]
async fn a_job_is_run_and_tells_its_result() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let id = queue.enqueue(note("a")).await;
    let job = queue.end_of(&id).await;
    assert_eq!((job.state, job.attempt, job.result), (JobState::Succeeded, 1, Some(json!(1))));
    assert_eq!((job.job.as_str(), job.args), ("note", json!({"text": "a"})));
    assert_eq!(job.worker.as_deref(), Some(worker.identity.as_str()));
    assert!(job.enqueued_at <= job.started_at && job.started_at <= job.finished_at);
    worker.drain().await;
}

#[tokio::test]
async fn jobs_of_one_slot_run_in_the_order_of_their_coming() {
    let mut queue = Queue::new().await;
    queue.settings.concurrency = 1;
    let texts: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let enqueued = queue.producer.enqueue_all(texts.iter().map(|text| note(text)).collect()).await.unwrap();
    let worker = queue.work();
    queue.end_of(&enqueued[49].id).await;
    assert_eq!(*queue.ledger.runs.lock().unwrap(), texts);
    worker.drain().await;
}

#[tokio::test]
async fn an_idle_worker_is_woken_by_a_push_and_does_not_wait_for_its_poll() {
    let mut queue = Queue::new().await;
    queue.settings.poll = Duration::from_secs(10);
    let worker = queue.work();
    queue.end_of(&queue.enqueue(note("warm")).await).await;
    let asked = Instant::now();
    for n in 0..20 {
        queue.end_of(&queue.enqueue(note(&n.to_string())).await).await;
    }
    // Twenty polls would take 200 s.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    worker.drain().await;
}

#[tokio::test]
async fn a_delayed_job_waits_in_redis_for_its_time() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let id = queue.enqueue(NewJob { delay: Duration::from_millis(700), ..note("later") }).await;
    assert_eq!(queue.job(&id).await.state, JobState::Scheduled);
    let job = queue.end_of(&id).await;
    let waited = (job.started_at.unwrap() - job.enqueued_at.unwrap()).num_milliseconds();
    assert!((700..1500).contains(&waited), "{waited} ms");
    worker.drain().await;
}

#[tokio::test]
async fn ten_thousand_jobs_that_are_due_at_once_are_all_run() {
    let mut queue = Queue::new().await;
    queue.settings.concurrency = 64;
    let delay = Duration::from_millis(1);
    let jobs = (0..10_000).map(|n| NewJob { delay, ..note(&n.to_string()) }).collect();
    queue.producer.enqueue_all(jobs).await.unwrap();
    let worker = queue.work();
    eventually(Duration::from_mins(1), "all have run", async || queue.ledger.count() == 10_000).await;
    worker.drain().await;
    let mut runs = queue.ledger.runs.lock().unwrap().clone();
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), 10_000);
}

#[tokio::test]
async fn a_worker_takes_no_more_jobs_than_it_has_slots() {
    let mut queue = Queue::new().await;
    queue.settings.concurrency = 2;
    for _ in 0..5 {
        queue.enqueue(NewJob::new("sleep", json!({"ms": 60_000}))).await;
    }
    let worker = queue.work();
    eventually(LONG, "two run", async || queue.ledger.count() == 2).await;
    let counts = queue.inspector.counts().await.unwrap();
    assert_eq!((counts[0].running, counts[0].ready), (2, 3));
    worker.stop.now.cancel();
    worker.drain().await;
}

#[tokio::test]
async fn an_id_is_enqueued_once() {
    let queue = Queue::new().await;
    let job = || NewJob { id: Some("order-7".to_owned()), ..note("once") };
    assert!(queue.producer.enqueue(job()).await.unwrap().is_new);
    assert!(!queue.producer.enqueue(job()).await.unwrap().is_new);
    let worker = queue.work();
    queue.end_of("order-7").await;
    assert!(!queue.producer.enqueue(job()).await.unwrap().is_new);
    worker.drain().await;
    assert_eq!(queue.ledger.count(), 1);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_before_it_is_stored() {
    let queue = Queue::new().await;
    let wrong = [
        NewJob::new("note", json!({"text": 7})),
        NewJob::new("nope", json!({})),
        NewJob { queue: "a b".to_owned(), ..note("x") },
        NewJob { max_attempts: Some(0), ..note("x") },
        note(&"x".repeat(300_000)),
    ];
    for job in wrong {
        assert!(!matches!(queue.producer.enqueue(job).await, Err(QueueError::Redis { .. }) | Ok(_)));
    }
    let (index, error) =
        queue.producer.enqueue_all(vec![note("a"), NewJob::new("note", json!({}))]).await.unwrap_err();
    assert_eq!((index, error.to_string().as_str()), (1, "job `note`: argument /: missing field `text`"));
    assert!(queue.inspector.jobs(&JobFilter::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn old_results_are_removed_by_number() {
    let mut queue = Queue::new().await;
    queue.settings.keep_succeeded_count = 10;
    let enqueued =
        queue.producer.enqueue_all((0..100).map(|n| note(&n.to_string())).collect()).await.unwrap();
    let worker = queue.work();
    eventually(LONG, "all have run", async || queue.ledger.count() == 100).await;
    worker.drain().await;
    // As if they had ended a minute ago: what ended just now is kept.
    let mut redis = queue.redis().await;
    let runs: BTreeMap<String, String> = redis.hgetall(queue.key("run")).await.unwrap();
    for (id, run) in runs {
        let mut fields: Vec<&str> = run.split('\t').collect();
        let finished = (fields[5].parse::<u64>().unwrap() - 60_000).to_string();
        fields[5] = &finished;
        let _: () = redis.hset(queue.key("run"), id, fields.join("\t")).await.unwrap();
    }
    // The next worker sweeps as it starts.
    let worker = queue.work();
    let gone = async || queue.inspector.job(&enqueued[0].id).await.unwrap().is_none();
    eventually(LONG, "the first is gone", gone).await;
    let filter = JobFilter { state: Some(JobState::Succeeded), limit: 1000, ..JobFilter::default() };
    assert_eq!(queue.inspector.jobs(&filter).await.unwrap().len(), 10);
    worker.drain().await;
}
