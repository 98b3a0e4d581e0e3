//! A job that is stored and in no collection is found and put back.

use std::time::Duration;

use dogwatch_queue::{JobState, NewJob};
use dogwatch_testing::eventually;
use redis::AsyncCommands;

use crate::support::{LONG, Queue, note};

async fn quick() -> Queue {
    let mut queue = Queue::new().await;
    queue.settings.reconcile_every = Duration::from_millis(400);
    queue
}

#[tokio::test]
async fn a_job_of_a_producer_that_died_before_its_push_runs() {
    let queue = quick().await;
    let mut redis = queue.redis().await;
    let _: () = redis.sadd(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let document = r#"{"job": "note", "args": {"text": "half"}}"#;
    let _: () = redis.hset(queue.key("data"), "half", document).await.unwrap();
    assert_eq!(queue.inspector.missing("default").await.unwrap(), 1);
    let worker = queue.work();
    let job = queue.end_of("half").await;
    assert_eq!((job.state, job.attempt), (JobState::Succeeded, 1));
    assert_eq!(queue.inspector.missing("default").await.unwrap(), 0);
    let totals = queue.inspector.job_totals().await.unwrap();
    let restored = totals.iter().find(|totals| totals.job == "?").unwrap().outcomes["restored"];
    assert_eq!(restored, 1);
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_of_every_state_goes_where_its_state_says() {
    let queue = quick().await;
    let mut redis = queue.redis().await;
    let _: () = redis.sadd(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let document = r#"{"job": "note", "args": {"text": "a"}}"#;
    let later = queue.client.time_ms().await.unwrap() + 100_000;
    for (id, run) in [
        ("running", "running\t1\tgone:1\tgone\t1\t\t\t".to_owned()),
        ("scheduled", format!("scheduled\t0\t\t\t\t\t{later}\t")),
        ("retrying", "retrying\t1\ta:1\tgone\t1\t\t5\t".to_owned()),
        ("dead", "dead\t1\ta:1\tgone\t1\t2\t\t".to_owned()),
        ("succeeded", format!("succeeded\t1\ta:1\tgone\t1\t{later}\t\t7")),
    ] {
        let _: () = redis.hset(queue.key("data"), id, document).await.unwrap();
        let _: () = redis.hset(queue.key("run"), id, run).await.unwrap();
    }
    assert_eq!(queue.inspector.missing("default").await.unwrap(), 5);
    let worker = queue.work();
    for (id, attempt) in [("running", 2), ("retrying", 2)] {
        let job = queue.end_of(id).await;
        let succeeded = async || queue.job(id).await.state == JobState::Succeeded;
        eventually(LONG, "it has run", succeeded).await;
        assert_eq!(job.attempt, attempt, "{id}");
    }
    let found = async || queue.inspector.missing("default").await.unwrap() == 0;
    eventually(LONG, "all are in a collection", found).await;
    assert!(redis.zscore::<_, _, Option<f64>>(queue.key("scheduled"), "scheduled").await.unwrap().is_some());
    assert!(redis.zscore::<_, _, Option<f64>>(queue.key("dead"), "dead").await.unwrap().is_some());
    let done: Vec<String> = redis.lrange(queue.key("done"), 0, -1).await.unwrap();
    assert!(done.contains(&"succeeded".to_owned()), "{done:?}");
    worker.drain().await;
}

#[tokio::test]
async fn jobs_that_are_where_they_should_be_are_left_alone() {
    let queue = quick().await;
    queue.control().pause("default").await.unwrap();
    let jobs: Vec<NewJob> = (0..1500).map(|n| note(&n.to_string())).collect();
    queue.producer.enqueue_all(jobs).await.unwrap();
    queue.enqueue(NewJob { delay: LONG * 100, ..note("later") }).await;
    queue.enqueue(NewJob { priority: 1, ..note("first") }).await;
    let cancelled = queue.enqueue(note("cancelled")).await;
    queue.control().cancel(&cancelled).await.unwrap();
    let worker = queue.work();
    // Two passes at least.
    let mut redis = queue.redis().await;
    let mut turns = 0;
    let turn = queue.key("reconciler");
    while turns < 3 {
        eventually(LONG, "a pass begins", async || redis.clone().exists::<_, bool>(&turn).await.unwrap())
            .await;
        eventually(LONG, "its turn ends", async || !redis.clone().exists::<_, bool>(&turn).await.unwrap())
            .await;
        turns += 1;
    }
    assert!(!redis.exists::<_, bool>(queue.key("stray")).await.unwrap());
    let active: usize = redis.llen(queue.key("active")).await.unwrap();
    assert_eq!(active, 1501);
    queue.control().resume("default").await.unwrap();
    worker.drain().await;
}
