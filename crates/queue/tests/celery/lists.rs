//! What only Celery's own workers know stays in the list, and what we know is moved from anywhere in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dogwatch_queue::{CeleryList, Client, Inspector, JobFilter, JobState, secs};
use dogwatch_testing::eventually;
use redis::aio::MultiplexedConnection;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Side, client, python, python_worker, registry, start_worker};

const LIST: &str = "celery";
const UNKNOWN: &str = "app.tasks.only_python";

/// A message as a Celery client writes it.
pub(crate) fn message(task: &str, id: &str) -> String {
    json!({
        // `[[], {}, {}]`
        "body": "W1tdLCB7fSwge31d",
        "content-encoding": "utf-8", "content-type": "application/json",
        "headers": {
            "lang": "py", "task": task, "id": id, "shadow": null, "eta": null, "expires": null, "group": null,
            "group_index": null, "retries": 0, "timelimit": [null, null], "root_id": id, "parent_id": null,
            "argsrepr": "()", "kwargsrepr": "{}", "origin": "gen1@test", "ignore_result": true,
            "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {},
        },
        "properties": {
            "correlation_id": id, "reply_to": "19e8e254-1111-2222-3333-444455556666", "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": LIST}, "priority": 0, "body_encoding": "base64",
            "delivery_tag": format!("tag-{id}"),
        },
    })
    .to_string()
}

pub(crate) async fn connect(side: &Side) -> MultiplexedConnection {
    // Long lists are read at once here.
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let client = redis::Client::open(side.url.as_str()).unwrap();
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

/// Pushes messages of a task, in this order.
async fn push(
    redis: &mut MultiplexedConnection,
    task: &str,
    ids: impl Iterator<Item = String>,
) -> Vec<String> {
    let ids: Vec<String> = ids.collect();
    for group in ids.chunks(1000) {
        let messages: Vec<String> = group.iter().map(|id| message(task, id)).collect();
        redis::cmd("LPUSH").arg(LIST).arg(messages).query_async::<()>(redis).await.unwrap();
    }
    ids
}

/// What the tests want of a message: there may be a hundred thousand of them.
#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    headers: Headers<'a>,
}

#[derive(Deserialize)]
struct Headers<'a> {
    task: &'a str,
    id: &'a str,
}

/// The ids in the list, the oldest first; without fillers, whose number is the second.
async fn list(redis: &mut MultiplexedConnection) -> (Vec<String>, usize) {
    let messages: Vec<String> =
        redis::cmd("LRANGE").arg(LIST).arg(0).arg(-1).query_async(redis).await.unwrap();
    let (mut others, mut fillers) = (Vec::new(), 0);
    for text in messages.iter().rev() {
        let Headers { task, id } = serde_json::from_str::<Listed<'_>>(text).unwrap().headers;
        if task == "celery.accumulate" {
            fillers += 1;
        } else {
            others.push(id.to_owned());
        }
    }
    (others, fillers)
}

async fn succeeded(side: &Side) -> usize {
    let inspector = Inspector::new(Client::open(&side.url, "celery-test").unwrap());
    let filter = JobFilter { state: Some(JobState::Succeeded), limit: 1000, ..JobFilter::default() };
    inspector.jobs(&filter).await.unwrap().len()
}

async fn totals(side: &Side) -> BTreeMap<String, u64> {
    let inspector = Inspector::new(Client::open(&side.url, "celery-test").unwrap());
    let totals = inspector.celery_totals().await.unwrap();
    totals.into_iter().next().unwrap().messages
}

fn ids(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("{prefix}-{n}"))
}

#[tokio::test]
async fn python_workers_on_the_same_list_lose_nothing() {
    let python = python().await;
    let side = Side::with(|_, _| {}).await;
    client(&python, &side.url, &["left_for_python"]).await;
    let redis = Client::open(&side.url, "celery-test").unwrap();
    let seen = side.settings.celery.survey(&redis, &registry().catalog()).await.unwrap();
    let [CeleryList { list, messages: 14, read: 14, left: 14, tasks }] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((list.as_str(), &tasks[..]), (LIST, &[UNKNOWN.to_owned()][..]));
    let counts = totals(&side).await;
    assert_eq!((counts["taken"], counts["left"], counts["refused"]), (3, 14, 0));
    let worker = python_worker(&python, &side.url, "celery");
    client(&python, &side.url, &["fetched_by_python", "beside_python"]).await;
    drop(worker);
    side.end().await;
}

#[tokio::test]
async fn known_tasks_are_moved_from_behind_many_that_stay() {
    let side = Side::with(|settings, _| settings.concurrency = 32).await;
    let mut redis = connect(&side).await;
    let mut left = push(&mut redis, UNKNOWN, ids("unknown", 100_000)).await;
    push(&mut redis, "echo", ids("known", 100)).await;
    eventually(secs(60), "all that are known have run", async || succeeded(&side).await == 100).await;
    assert_eq!(list(&mut redis).await, (left.clone(), 0));

    // A single one that arrives while the others stay.
    push(&mut redis, "echo", ids("late", 1)).await;
    eventually(secs(60), "the late one has run", async || succeeded(&side).await == 101).await;
    // One that a worker of Celery has put back at the other end.
    redis::cmd("RPUSH").arg(LIST).arg(message("echo", "back")).query_async::<()>(&mut redis).await.unwrap();
    eventually(secs(60), "the one that was put back has run", async || succeeded(&side).await == 102).await;
    assert_eq!(list(&mut redis).await, (left.clone(), 0));

    // More than are read as arrivals, among others.
    for n in 0..20 {
        left.extend(push(&mut redis, UNKNOWN, ids(&format!("more-{n}"), 200)).await);
        push(&mut redis, "echo", ids(&format!("among-{n}"), 5)).await;
    }
    eventually(secs(60), "those among others have run", async || succeeded(&side).await == 202).await;
    let (others, _) = list(&mut redis).await;
    assert_eq!(others, left);
    let totals = totals(&side).await;
    assert_eq!(totals["taken"], 202);
    assert!(totals["left"] >= 100_000, "{totals:?}");
    side.end().await;
}

#[tokio::test]
async fn in_the_middle_of_a_long_list_known_tasks_are_replaced_by_what_celery_drops() {
    let mut side = Side::with(|_, _| {}).await;
    // All are there when the worker starts, so that they are far from both ends.
    side.stop_worker().await;
    let mut redis = connect(&side).await;
    let mut left = push(&mut redis, UNKNOWN, ids("old", 8000)).await;
    push(&mut redis, "echo", ids("known", 40)).await;
    left.extend(push(&mut redis, UNKNOWN, ids("new", 8000)).await);
    side.start_worker();
    eventually(secs(60), "all that are known have run", async || succeeded(&side).await == 40).await;
    assert_eq!(list(&mut redis).await, (left.clone(), 40));

    // Near an end they are removed.
    redis::cmd("LTRIM").arg(LIST).arg(0).arg(-6001).query_async::<()>(&mut redis).await.unwrap();
    side.stop_worker().await;
    side.start_worker();
    let left = left.split_off(6000);
    eventually(secs(60), "no filler is left", async || list(&mut redis).await == (left.clone(), 0)).await;
    side.end().await;
}

/// Others take and push at both ends while two workers read the list.
#[tokio::test]
async fn nothing_is_lost_or_doubled_while_others_use_the_list() {
    let side = Side::with(|settings, _| settings.concurrency = 16).await;
    let (stop, second) = start_worker(&side.url, &side.settings);
    let mut redis = connect(&side).await;
    let (mut known, mut unknown) = (BTreeSet::new(), Vec::new());
    let mut consumer = connect(&side).await;
    let consume = tokio::spawn(async move {
        let mut taken: Vec<String> = Vec::new();
        loop {
            let message: Option<(String, String)> =
                redis::cmd("BRPOP").arg(LIST).arg(10).query_async(&mut consumer).await.unwrap();
            let Some((_, message)) = message else { panic!("nothing comes any more") };
            let id = serde_json::from_str::<Value>(&message).unwrap()["headers"]["id"].take();
            let id = id.as_str().unwrap().to_owned();
            if id == "the-end-0" {
                return taken;
            }
            // Slower than the producer, so that the list is never empty.
            tokio::time::sleep(Duration::from_millis(1)).await;
            taken.push(id);
        }
    });
    unknown.extend(push(&mut redis, UNKNOWN, ids("first", 2000)).await);
    for n in 0..200 {
        unknown.extend(push(&mut redis, UNKNOWN, ids(&format!("unknown-{n}"), 7)).await);
        known.extend(push(&mut redis, "echo", ids(&format!("known-{n}"), 3)).await);
    }
    push(&mut redis, UNKNOWN, ids("the-end", 1)).await;
    let taken = consume.await.unwrap();
    let (by_consumer, others): (Vec<String>, Vec<String>) =
        taken.into_iter().partition(|id| known.contains(id));
    assert_eq!(others, unknown);
    let rest = known.len() - by_consumer.len();
    eventually(secs(60), "the others have run", async || succeeded(&side).await == rest).await;
    let inspector = Inspector::new(Client::open(&side.url, "celery-test").unwrap());
    for id in by_consumer {
        assert!(inspector.job(&id).await.unwrap().is_none(), "{id} was run twice");
    }
    stop.drain.cancel();
    second.await.unwrap();
    side.end().await;
}
