//! Clients whose results are in another database, another Redis, or behind a prefix.

use dogwatch_embedded::RedisOptions;
use dogwatch_queue::{UnknownTasks, secs};
use dogwatch_testing::{PrivateRedis, eventually, free_port};

use crate::{Side, client_with, python};

/// Each has an ending of another kind.
const CASES: [&str; 10] = [
    "async_result",
    "failure",
    "task_id_again",
    "expires",
    "revoke_waiting",
    "revoke_running",
    "time_limit",
    "unknown_task",
    "chain",
    "chain_failure",
];

#[tokio::test]
async fn results_are_stored_in_the_database_of_the_backend() {
    let python = python().await;
    let side = Side::with(|settings, url| {
        settings.concurrency = 16;
        settings.celery.unknown = UnknownTasks::Refuse;
        settings.celery.results = Some(in_database_1(url).into());
    })
    .await;
    let backend = in_database_1(&side.url);
    client_with(&python, &side.url, &[("BACKEND_URL", &backend)], &CASES).await;
    let mut redis = connect(&side.url).await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("celery-task-meta-*").query_async(&mut redis).await.unwrap();
    assert_eq!(keys, [""; 0], "no result is in the database of the queue");
    side.end().await;
}

#[tokio::test]
async fn prefixes_of_broker_and_backend_are_kept() {
    let python = python().await;
    let side = Side::with(|settings, _| {
        settings.concurrency = 16;
        settings.celery.unknown = UnknownTasks::Refuse;
        settings.celery.prefix = "my[app]:".to_owned();
        settings.celery.results_prefix = "results".to_owned();
    })
    .await;
    let variables = [("BROKER_PREFIX", "my[app]:"), ("RESULTS_PREFIX", "results")];
    let cases: Vec<&str> = CASES.into_iter().chain(["inspect"]).collect();
    client_with(&python, &side.url, &variables, &cases).await;
    side.end().await;
}

#[tokio::test]
async fn results_wait_while_their_redis_is_unavailable() {
    let port = free_port();
    let mut results = PrivateRedis::start(RedisOptions { port: Some(port) }).await;
    let address = format!("redis://127.0.0.1:{port}/0");
    let side = Side::with(|settings, _| settings.celery.results = Some(address.clone().into())).await;
    results.kill();
    let mut redis = connect(&side.url).await;
    for n in 0..100 {
        let message = crate::lists::message("echo", &format!("task-{n}"))
            .replace(r#""ignore_result":true"#, r#""ignore_result":false"#);
        redis::cmd("LPUSH").arg("celery").arg(message).query_async::<()>(&mut redis).await.unwrap();
    }
    let waiting = async || {
        let count: usize =
            redis::cmd("LLEN").arg("celery-test:{default}:replies").query_async(&mut redis).await.unwrap();
        count
    };
    let mut waiting = waiting;
    eventually(secs(60), "all results wait", async || waiting().await == 100).await;
    results.restart().await;
    let mut stored = connect(&address).await;
    eventually(secs(60), "all results are stored", async || {
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("celery-task-meta-task-*").query_async(&mut stored).await.unwrap();
        keys.len() == 100
    })
    .await;
    eventually(secs(60), "none waits", async || waiting().await == 0).await;
    side.end().await;
    results.stop().await;
}

fn in_database_1(url: &str) -> String {
    format!("{}/1", url.strip_suffix("/0").unwrap())
}

async fn connect(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// The worker's user of Redis has the documented rights and no other.
#[tokio::test]
async fn the_documented_rights_are_enough() {
    let python = python().await;
    let mut side = Side::with(|settings, _| {
        settings.concurrency = 16;
        settings.celery.unknown = UnknownTasks::Refuse;
    })
    .await;
    side.stop_worker().await;
    let documented = include_str!("../../../../docs/QUEUE.md");
    let line = |start: &str| documented.lines().find(|line| line.starts_with(start)).unwrap();
    let rights = line("user dogwatch on ").strip_prefix("user dogwatch ").unwrap();
    let rights = rights.replace(">PASSWORD", ">s3cret").replace("~dogwatch:*", "~celery-test:*");
    let mut redis = connect(&side.url).await;
    let mut add = redis::cmd("ACL");
    add.arg("SETUSER").arg("dogwatch");
    rights.split(' ').chain(line("&* ").split(' ')).for_each(|right| {
        add.arg(right);
    });
    add.query_async::<()>(&mut redis).await.unwrap();
    let url = side.url.clone();
    side.url = url.replace("redis://", "redis://dogwatch:s3cret@");
    side.start_worker();
    let cases: Vec<&str> = CASES.into_iter().chain(["inspect"]).collect();
    client_with(&python, &url, &[], &cases).await;
    // Tasks that stay in the list, and one among them that does not.
    side.stop_worker().await;
    side.settings.celery.unknown = UnknownTasks::Leave;
    side.start_worker();
    client_with(&python, &url, &[], &["left_for_python"]).await;
    side.end().await;
}
