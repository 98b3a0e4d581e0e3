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
        ("unknown", Some(r#"{"job": "nope", "args": {}}"#), "job `nope` does not exist"),
        (
            "bad-args",
            Some(r#"{"job": "note", "args": {"text": 7}}"#),
            "argument /text: invalid type: integer `7`",
        ),
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
    assert_eq!(queue.inspector.jobs(&filter).await.unwrap().len(), 4);
    worker.drain().await;
}

#[tokio::test]
async fn metadata_that_makes_no_sense_harms_no_other_job() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let ids: Vec<String> = {
        let jobs = (0..6).map(|n| note(&n.to_string())).collect();
        queue.producer.enqueue_all(jobs).await.unwrap().into_iter().map(|enqueued| enqueued.id).collect()
    };
    let meta = |n: usize| queue.key(&format!("meta:{}", ids[n]));
    let _: () = redis.hset(meta(1), "attempts", "").await.unwrap();
    let _: () = redis.del(meta(2)).await.unwrap();
    let _: () = redis.set(meta(2), "no hash").await.unwrap();
    let _: () = redis.hset(meta(3), "max_attempts", "many").await.unwrap();
    let _: () = redis.hset(meta(4), "timeout_ms", "99999999999999999999999").await.unwrap();
    let worker = queue.work();
    for n in [0, 1, 3, 4, 5] {
        assert_eq!(queue.end_of(&ids[n]).await.state, JobState::Succeeded, "job {n}");
    }
    let dead = async || {
        queue.inspector.job(&ids[2]).await.is_ok_and(|job| job.is_some_and(|job| job.state.has_ended()))
    };
    eventually(LONG, "it is dead", dead).await;
    let bad = queue.job(&ids[2]).await;
    assert_eq!(bad.state, JobState::Dead);
    assert!(bad.error.unwrap().starts_with("its metadata cannot be used: "));
    worker.drain().await;
}
