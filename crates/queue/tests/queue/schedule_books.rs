//! Each schedule book has a leader of its own: programs with different schedules share a Redis.

use std::collections::BTreeMap;

use dogwatch_queue::scheduler::Book;
use dogwatch_testing::eventually;
use redis::AsyncCommands;

use crate::scheduling::{Running, file, jobs, start_in};
use crate::support::{LONG, Queue};

/// The same names in both books.
fn schedules(book: &str) -> String {
    format!(
        "[schedules.tick]\njob = \"note\"\nevery = \"1s\"\nargs = {{ text = \"{book}\" }}\nmisfire = \"all\"\n\
         overlap = \"allow\"\n"
    )
}

/// How often each slot was enqueued, by book.
async fn slots(queue: &Queue) -> BTreeMap<String, BTreeMap<i64, usize>> {
    let mut slots: BTreeMap<String, BTreeMap<i64, usize>> = BTreeMap::new();
    let documents: Vec<String> = queue.redis().await.hvals(queue.key("data")).await.unwrap();
    for document in documents {
        let job: serde_json::Value = serde_json::from_str(&document).unwrap();
        let of_book = slots.entry(job["args"]["text"].as_str().unwrap().to_owned()).or_default();
        *of_book.entry(job["slot_ms"].as_i64().unwrap()).or_default() += 1;
    }
    slots
}

/// Every second has one slot.
#[track_caller]
fn are_whole(slots: &BTreeMap<i64, usize>) {
    let (from, to) = (slots.keys().min().unwrap(), slots.keys().max().unwrap());
    assert_eq!(slots.len(), usize::try_from((to - from) / 1000 + 1).unwrap(), "one is missing: {slots:?}");
    assert!(slots.values().all(|count| *count == 1), "one came twice: {slots:?}");
}

#[tokio::test]
async fn the_schedules_of_two_books_run_and_each_leader_that_is_killed_is_followed() {
    let queue = Queue::new().await;
    let books = [Book::default(), Book::new("shop").unwrap()];
    let files = books.clone().map(|book| file(&schedules(book.name())));
    let start_all = || -> Vec<Running> {
        books.iter().zip(&files).map(|(book, file)| start_in(&queue, book, file)).collect()
    };
    let enough = async |least: usize| {
        let slots = slots(&queue).await;
        slots.len() == 2 && slots.values().all(|of_book| of_book.len() >= least)
    };
    let leaders = start_all();
    eventually(LONG, "both run", async || enough(3).await).await;
    let standby = start_all();
    for (_, leader) in leaders {
        // As by kill -9.
        leader.abort();
    }
    let before = slots(&queue).await.values().map(BTreeMap::len).max().unwrap();
    eventually(LONG, "both go on", async || enough(before + 3).await).await;
    for (stop, task) in standby {
        stop.cancel();
        task.await.unwrap();
    }
    slots(&queue).await.values().for_each(are_whole);
    assert!(jobs(&queue).await.iter().all(|job| job.schedule.as_deref() == Some("tick")));
    for book in &books {
        let elections = queue.inspector.scheduler_status(book).await.unwrap().elections;
        assert_eq!(elections, 2, "{book}");
        let ticks = queue.inspector.last_ticks(book).await.unwrap();
        assert_eq!(ticks.keys().collect::<Vec<_>>(), ["tick"], "{book}");
        let last = slots(&queue).await[book.name()].keys().max().copied();
        assert_eq!(Some(ticks["tick"].at.timestamp_millis()), last, "{book}");
    }
}

#[tokio::test]
async fn a_book_ends_and_forgets_only_its_own_schedules() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let (now, _): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
    for (name, days) in [("long_ago", 40), ("shop/long_ago", 40), ("lately", 20), ("shop/lately", 20)] {
        let slot = ((now - days * 86_400) * 1000).to_string();
        for (field, value) in [("slot", slot.as_str()), ("definition", "d")] {
            let field = format!("{name}:{field}");
            redis.hset::<_, _, _, ()>(queue.key("slots"), field, value).await.unwrap();
        }
    }
    redis.sadd::<_, _, ()>(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let file = file(&schedules("shop"));
    let (stop, task) = start_in(&queue, &Book::new("shop").unwrap(), &file);
    eventually(LONG, "it ticks", async || slots(&queue).await.contains_key("shop")).await;
    stop.cancel();
    task.await.unwrap();
    let left: BTreeMap<String, String> = redis.hgetall(queue.key("slots")).await.unwrap();
    let definition = |name: &str| left.get(&format!("{name}:definition")).map(String::as_str);
    assert_eq!(definition("long_ago"), Some("d"));
    assert_eq!(definition("lately"), Some("d"));
    assert_eq!(definition("shop/long_ago"), None);
    assert_eq!(definition("shop/lately"), Some(""));
}
