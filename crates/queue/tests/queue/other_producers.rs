//! Who has no library of ours enqueues all the same: stock apalis-redis, and plain Redis commands.

use apalis_core::backend::TaskSink;
use dogwatch_queue::JobState;
use redis::AsyncCommands;
use serde_json::{Value, json};

use crate::support::Queue;

#[tokio::test]
async fn a_stock_apalis_redis_producer_enqueues_for_our_workers() {
    let queue = Queue::new().await;
    // Its keys carry our name of the queue.
    let name = format!("{}:{{default}}", queue.namespace);
    let connection = apalis_redis::connect(queue.url.as_str()).await.unwrap();
    let config = apalis_redis::Config::default().queue(&name);
    let mut storage = apalis_redis::RedisStorage::<Value>::new(connection).with_config(config);
    storage.push(json!({"job": "note", "args": {"text": "from apalis"}})).await.unwrap();
    let mut redis = queue.redis().await;
    let _: () = redis.sadd(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let ids: Vec<String> = redis.zrange(queue.key("scheduled"), 0, -1).await.unwrap();
    let worker = queue.work();
    let job = queue.end_of(&ids[0]).await;
    assert_eq!((job.state, job.job.as_str(), job.max_attempts), (JobState::Succeeded, "note", None));
    // What it has written beside the job would be kept for ever.
    let meta: bool = redis.exists(queue.key(&format!("meta:{}", ids[0]))).await.unwrap();
    assert!(!meta);
    assert_eq!(*queue.ledger.runs.lock().unwrap(), ["from apalis"]);
    worker.drain().await;
}

#[tokio::test]
async fn two_plain_redis_commands_enqueue_and_wake_the_worker() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let mut redis = queue.redis().await;
    let _: () = redis.sadd(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let payload = json!({"job": "note", "args": {"text": "from redis-cli"}}).to_string();
    let _: () = redis.hset(queue.key("data"), "order-9", payload).await.unwrap();
    let _: () = redis.rpush(queue.key("active"), "order-9").await.unwrap();
    assert_eq!(queue.end_of("order-9").await.state, JobState::Succeeded);
    worker.drain().await;
}
