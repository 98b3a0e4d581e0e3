//! What can never succeed is dead at once, kept with its reason, and blocks nothing.

use dogwatch_queue::{JobFilter, JobState};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use serde_json::json;

use crate::support::{LONG, Queue, behave, note};

#[tokio::test]
async fn a_job_that_discards_itself_is_dead_after_one_attempt() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let job = queue.end_of(&queue.enqueue(behave("discard")).await).await;
    assert_eq!((job.state, job.attempt, job.error.as_deref()), (JobState::Dead, 1, Some("makes no sense")));
    worker.drain().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_dead_with_the_reason_and_the_raw_payload() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let _: () = redis.sadd(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let payloads = [
        ("garbage", Some("\u{fffd}not json"), "payload is not {\"job\": NAME"),
        (
            "no-time",
            Some(r#"{"job": "note", "args": {"text": "a"}, "timeout_ms": 0}"#),
            "timeout_ms `0` is not between 1 and",
        ),
        (
            "no-attempts",
            Some(r#"{"job": "note", "max_attempts": 0}"#),
            "max_attempts `0` is not between 1 and 1000",
        ),
        ("no-age", Some(r#"{"job": "note", "max_age_ms": 0}"#), "max_age_ms `0` is not between 1 and"),
        ("no-payload", None, "it has no payload"),
    ];
    for (id, payload, _) in payloads {
        if let Some(payload) = payload {
            let _: () = redis.hset(queue.key("data"), id, payload).await.unwrap();
        }
        let _: () = redis.rpush(queue.key("active"), id).await.unwrap();
    }
    let good = queue.enqueue(note("after them")).await;
    let worker = queue.work();
    assert_eq!(queue.end_of(&good).await.state, JobState::Succeeded);
    for (id, _, reason) in payloads {
        let job = queue.end_of(id).await;
        assert_eq!((job.state, job.attempt), (JobState::Dead, 1), "{id}");
        assert!(job.error.as_ref().unwrap().contains(reason), "{id}: {:?}", job.error);
    }
    assert_eq!(queue.job("garbage").await.args, json!("\u{fffd}not json"));
    let filter = JobFilter { state: Some(JobState::Dead), limit: 10, ..JobFilter::default() };
    assert_eq!(queue.inspector.jobs(&filter).await.unwrap().len(), payloads.len());
    worker.drain().await;
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_a_failed_attempt() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let _: () = redis.sadd(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let _: () =
        redis.hset(queue.key("data"), "bad", r#"{"job": "note", "args": {"text": 7}}"#).await.unwrap();
    let _: () = redis.rpush(queue.key("active"), "bad").await.unwrap();
    let worker = queue.work();
    let job = queue.end_of("bad").await;
    // The job's own policy: a worker of another version may accept them.
    assert_eq!((job.state, job.attempt), (JobState::Dead, 3));
    assert!(
        job.error.as_ref().unwrap().contains("argument /text: invalid type: integer `7`"),
        "{:?}",
        job.error
    );
    worker.drain().await;
}

#[tokio::test]
async fn options_that_make_no_sense_and_ids_that_are_no_text_harm_no_other_job() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let _: () = redis.sadd(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let options = r#"{"job": "note", "args": {"text": "a"}, "max_attempts": "many"}"#;
    for id in [&b"options"[..], b"\xff\xfe"] {
        let _: () = redis.hset(queue.key("data"), id, options).await.unwrap();
        let _: () = redis.rpush(queue.key("active"), id).await.unwrap();
    }
    // An id that was pushed twice is one job.
    let good = queue.enqueue(note("good")).await;
    let _: () = redis.rpush(queue.key("active"), &good).await.unwrap();
    let worker = queue.work();
    assert_eq!(queue.end_of(&good).await.state, JobState::Succeeded);
    let bad = queue.end_of("options").await;
    assert!(bad.error.unwrap().contains("invalid type: string \"many\""));
    let buried = async || redis.clone().zcard::<_, usize>(queue.key("dead")).await.unwrap() == 2;
    eventually(LONG, "the one without a name is dead too", buried).await;
    worker.drain().await;
    assert_eq!(*queue.ledger.runs.lock().unwrap(), ["good"]);
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}
