//! Messages that ask for too much, or for what is not theirs, harm nobody and are answered.

use dogwatch_queue::{Client, Inspector, JobState, NewJob, Producer, secs};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use serde_json::{Value, json};

use crate::lists::{connect, message};
use crate::{Side, registry};

const LIST: &str = "celery";

#[tokio::test]
async fn a_revocation_of_very_many_tasks_is_bounded() {
    let side = Side::start(1).await;
    let mut redis = connect(&side).await;
    let listens = async || {
        let patterns: i64 = redis::cmd("PUBSUB").arg("NUMPAT").query_async(&mut redis.clone()).await.unwrap();
        patterns > 0
    };
    eventually(secs(20), "the worker listens", listens).await;
    for message in 0..6 {
        let ids: Vec<String> = (0..12_000).map(|id| format!("{message}-{id}")).collect();
        let body = json!({"method": "revoke", "arguments": {"task_id": ids, "terminate": false}});
        let envelope = json!({
            "body": body.to_string(), "content-type": "application/json", "headers": {}, "properties": {},
        });
        redis.publish::<_, _, ()>("/0.celery.pidbox", envelope.to_string()).await.unwrap();
    }
    let revoked = "celery-test:{default}:revoked";
    // The last of the ten thousand that are read of a message.
    let last = async || redis.clone().zscore::<_, _, Option<f64>>(revoked, "5-9999").await.unwrap().is_some();
    eventually(secs(20), "all are remembered", last).await;
    assert_eq!(redis.zcard::<_, i64>(revoked).await.unwrap(), 50_000);
    assert_eq!(redis.zscore::<_, _, Option<f64>>(revoked, "5-10000").await.unwrap(), None);
    assert!(redis.keys::<_, Vec<String>>("celery-test:*revoked:*").await.unwrap().is_empty());

    // One of them arrives, beside one that the version before has revoked.
    redis.set::<_, _, ()>("celery-test:{default}:revoked:before", "1").await.unwrap();
    for id in ["5-9999", "before"] {
        redis.lpush::<_, _, ()>(LIST, message("echo", id)).await.unwrap();
        eventually(secs(20), "it is cancelled", async || state(&side, id).await == Some(JobState::Cancelled))
            .await;
    }
    side.end().await;
}

#[tokio::test]
async fn a_refused_message_replaces_no_job_of_another_producer() {
    let side = Side::start(1).await;
    let mut redis = connect(&side).await;
    let client = Client::open(&side.url, "celery-test").unwrap();
    let producer = Producer::new(client, registry().catalog());
    let job = NewJob { id: Some("order-8".to_owned()), ..NewJob::new("echo", json!({})) };
    producer.enqueue(job).await.unwrap();
    let succeeded = async || state(&side, "order-8").await == Some(JobState::Succeeded);
    eventually(secs(20), "it has succeeded", succeeded).await;

    redis.lpush::<_, _, ()>(LIST, "{\"id\": \"order-8\", \"task\": \"echo\"").await.unwrap();
    let reply = reply_to(&side, "order-8").await;
    assert_eq!(reply["status"], "FAILURE", "{reply}");
    assert!(succeeded().await);
    side.end().await;
}

#[tokio::test]
async fn a_task_that_is_nested_too_deep_is_answered() {
    let side = Side::start(1).await;
    let mut redis = connect(&side).await;
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    for levels in [110, 118, 119, 120, 121, 122, 123, 124, 125] {
        let id = format!("deep-{levels}");
        let mut text: Value = serde_json::from_str(&message("echo", &id)).unwrap();
        let link = format!(
            r#"{{"task": "echo", "args": {}, "kwargs": {{}}, "options": {{"task_id": "after-{levels}"}}}}"#,
            deep(levels)
        );
        text["body"] = json!(format!(r#"[[], {{}}, {{"callbacks": [{link}]}}]"#));
        text["properties"]["body_encoding"] = Value::Null;
        text["headers"]["ignore_result"] = json!(false);
        redis.lpush::<_, _, ()>(LIST, text.to_string()).await.unwrap();
        let reply = reply_to(&side, &id).await;
        assert!(reply["status"] == "SUCCESS" || reply["status"] == "FAILURE", "{levels}: {reply}");
    }
    side.end().await;
}

async fn state(side: &Side, id: &str) -> Option<JobState> {
    let inspector = Inspector::new(Client::open(&side.url, "celery-test").unwrap());
    inspector.job(id).await.unwrap().map(|job| job.state)
}

/// What `AsyncResult(id).get()` reads.
async fn reply_to(side: &Side, id: &str) -> Value {
    let redis = connect(side).await;
    let key = format!("celery-task-meta-{id}");
    let read = async || redis.clone().get::<_, Option<String>>(&key).await.unwrap();
    eventually(secs(20), "the sender is answered", async || read().await.is_some()).await;
    serde_json::from_str(&read().await.unwrap()).unwrap()
}
