//! Schedulers from before there were books, and notes of what is in force, run beside those of today.
//! `before/` has the scripts of that time, unchanged.

use std::collections::BTreeMap;
use std::time::Duration;

use dogwatch_testing::eventually;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Script};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::scheduling::{file, start};
use crate::support::{LONG, Queue};

const TICK: &str = include_str!("before/tick.lua");
const ELECT: &str = include_str!("before/elect.lua");
const FILE: &str = "[schedules.tick]\njob = \"note\"\nevery = \"1s\"\nargs = { text = \"new\" }\nmisfire = \"all\"\n\
                    overlap = \"allow\"\n";
const DEFINITION: &str = "every 1s in default";

/// A scheduler of before, with the one schedule of [`FILE`].
struct Before {
    redis: MultiplexedConnection,
    prefix: String,
    namespace: String,
    identity: String,
}

impl Before {
    async fn new(queue: &Queue) -> Self {
        let (redis, prefix, namespace) = (queue.redis().await, queue.prefix(), queue.namespace.clone());
        Self { redis, prefix, namespace, identity: Uuid::now_v7().to_string() }
    }

    /// The epoch, 0 while another leads, and the time of Redis.
    async fn elect(&mut self) -> (u64, i64) {
        let key = |family: &str| format!("{}:{{scheduler}}:{family}", self.namespace);
        let script = Script::new(ELECT);
        let mut call = script.key(key("leader"));
        call.key(key("epoch")).arg(&self.identity).arg(3000);
        call.invoke_async(&mut self.redis).await.unwrap()
    }

    /// What happened, and the last slot; `None` when another leads.
    async fn tick(&mut self, epoch: u64, slot_ms: i64, mode: &str) -> Option<(String, i64)> {
        let job = json!({"job": "note", "args": {"text": "old"}, "schedule": "tick", "slot_ms": slot_ms});
        let script = Script::new(TICK);
        let mut call = script.key(&self.prefix);
        call.arg(epoch).arg("tick").arg(slot_ms).arg(DEFINITION).arg(mode).arg("allow");
        call.arg(Uuid::now_v7().to_string()).arg(job.to_string()).arg(0).arg(0).arg("");
        let answer: redis::Value = call.invoke_async(&mut self.redis).await.unwrap();
        let answers: Vec<(String, i64, String)> = redis::from_redis_value(answer).ok()?;
        answers.into_iter().next().map(|(what, last, _)| (what, last))
    }

    fn run(mut self) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut last = None;
            loop {
                let (epoch, now) = self.elect().await;
                last = match last {
                    _ if epoch == 0 => None,
                    None => self.tick(epoch, now, "start").await.map(|(_, last)| last),
                    Some(last) if (last / 1000 + 1) * 1000 <= now => {
                        self.tick(epoch, (last / 1000 + 1) * 1000, "next").await.map(|(_, last)| last)
                    }
                    last => last,
                };
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    }
}

/// How often each slot was enqueued, and by which kind of scheduler.
async fn slots(queue: &Queue) -> BTreeMap<i64, Vec<String>> {
    let mut slots: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let documents: Vec<String> = queue.redis().await.hvals(queue.key("data")).await.unwrap();
    for document in documents {
        let job: Value = serde_json::from_str(&document).unwrap();
        let by = job["args"]["text"].as_str().unwrap().to_owned();
        slots.entry(job["slot_ms"].as_i64().unwrap()).or_default().push(by);
    }
    slots
}

async fn of(queue: &Queue, by: &str) -> usize {
    slots(queue).await.values().flatten().filter(|it| *it == by).count()
}

#[tokio::test]
async fn the_scheduler_of_before_and_this_one_follow_each_other_and_enqueue_each_slot_once() {
    let queue = Queue::new().await;
    let file = file(FILE);
    let old = Before::new(&queue).await.run();
    eventually(LONG, "the old one leads", async || of(&queue, "old").await >= 2).await;
    let new = start(&queue, &file);
    // As by kill -9.
    old.abort();
    eventually(LONG, "the new one follows", async || of(&queue, "new").await >= 2).await;
    let old = Before::new(&queue).await.run();
    let before = of(&queue, "old").await;
    new.1.abort();
    eventually(LONG, "the old one follows", async || of(&queue, "old").await >= before + 2).await;
    old.abort();
    let slots = slots(&queue).await;
    let (from, to) = (slots.keys().min().unwrap(), slots.keys().max().unwrap());
    assert_eq!(slots.len(), usize::try_from((to - from) / 1000 + 1).unwrap(), "one is missing: {slots:?}");
    assert!(slots.values().all(|by| by.len() == 1), "one came twice: {slots:?}");
}

#[tokio::test]
async fn a_schedule_of_before_goes_on_from_its_last_slot() {
    let queue = Queue::new().await;
    let mut old = Before::new(&queue).await;
    let (epoch, now) = old.elect().await;
    let began = now / 1000 * 1000 - 20_000;
    old.tick(epoch, began, "start").await.unwrap();
    redis::cmd("SADD")
        .arg(format!("{}:queues", queue.namespace))
        .arg("default")
        .query_async::<()>(&mut old.redis)
        .await
        .unwrap();
    old.redis.del::<_, ()>(format!("{}:{{scheduler}}:leader", queue.namespace)).await.unwrap();
    // Also where it says `run_at_start`: it is known.
    let file = file(&(FILE.to_owned() + "run_at_start = true\n"));
    let (stop, task) = start(&queue, &file);
    eventually(LONG, "what was missed is made up for", async || of(&queue, "new").await >= 20).await;
    stop.cancel();
    task.await.unwrap();
    let slots = slots(&queue).await;
    assert_eq!(slots.keys().min(), Some(&(began + 1000)));
    assert!(slots.keys().all(|slot| slot % 1000 == 0), "{slots:?}");
}

#[tokio::test]
async fn the_scheduler_of_before_takes_a_schedule_that_has_ended_for_a_new_one() {
    let queue = Queue::new().await;
    let both = FILE.to_owned() + &FILE.replace("tick", "other");
    let file = file(&both);
    let (stop, task) = start(&queue, &file);
    eventually(LONG, "it leads", async || of(&queue, "new").await >= 1).await;
    file.write(&FILE.replace("tick", "other"));
    let mut redis = queue.redis().await;
    let mut definition =
        async || redis.hget::<_, _, String>(queue.key("slots"), "tick:definition").await.unwrap();
    eventually(LONG, "the schedule has ended", async || definition().await.is_empty()).await;
    stop.cancel();
    task.await.unwrap();
    let mut old = Before::new(&queue).await;
    let (epoch, now) = old.elect().await;
    assert_eq!(old.tick(epoch, now, "start").await, Some(("started".to_owned(), now)));
}
