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

/// The documented commands, as they stand but for the namespace and the job.
fn documented(namespace: &str) -> Vec<Vec<String>> {
    let text = include_str!("../../../../docs/ENQUEUE.md");
    let blocks = text.split("```redis\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    let lines = blocks.flat_map(str::lines);
    let words = |line: &str| -> Vec<String> {
        let line = line.replace("dogwatch:", &format!("{namespace}:"));
        let line = line.replace("\"check_service_health\"", "\"note\", \"args\": {\"text\": \"plain\"}");
        let line = line.replace(", \"args\": {}}", "}");
        let (plain, quoted) = line.split_once('\'').unwrap_or((&line, ""));
        let quoted = quoted.strip_suffix('\'').map(str::to_owned);
        plain.split_whitespace().map(str::to_owned).chain(quoted).collect()
    };
    lines.map(words).collect()
}

#[tokio::test]
async fn the_documented_redis_commands_enqueue_and_wake_the_worker() {
    let mut queue = Queue::new().await;
    queue.settings.poll = std::time::Duration::from_secs(10);
    let worker = queue.work();
    let mut redis = queue.redis().await;
    let _: () = redis.sadd(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let commands = documented(&queue.namespace);
    assert_eq!(commands.len(), 4);
    for command in commands {
        let mut call = redis::cmd(&command[0]);
        call.arg(&command[1..]);
        let _: redis::Value = call.query_async(&mut redis).await.unwrap();
    }
    for id in ["order-9", "order-10"] {
        assert_eq!(queue.end_of(id).await.state, JobState::Succeeded);
    }
    worker.drain().await;
}
