//! Orders of people hold whatever happens to the processes: pause, resume, cancel, run again, purge.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dogwatch_queue::{Cancelled, DeadFilter, JobState, NewJob, Pause, Unique, UniqueUntil};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use serde_json::json;

use crate::support::{LONG, Queue, behave, note};

fn wait(ms: u64) -> NewJob {
    NewJob::new("obedient", json!({ "ms": ms }))
}

#[tokio::test]
async fn a_paused_queue_runs_nothing_until_it_is_resumed() {
    let queue = Queue::new().await;
    queue.control().pause("default").await.unwrap();
    let worker = queue.work();
    let id = queue.enqueue(note("a")).await;
    let counts = async || queue.inspector.counts().await.unwrap().remove(0);
    eventually(LONG, "workers look at it", async || !queue.inspector.workers().await.unwrap().is_empty())
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((counts().await.ready, counts().await.paused), (1, true));
    assert_eq!(queue.job(&id).await.state, JobState::Ready);
    queue.control().resume("default").await.unwrap();
    queue.end_of(&id).await;
    assert!(!counts().await.paused);
    worker.drain().await;
}

#[tokio::test]
async fn a_waiting_job_that_was_cancelled_never_runs() {
    let queue = Queue::new().await;
    let jobs = [
        note("ready"),
        NewJob { delay: Duration::from_millis(200), ..note("delayed") },
        NewJob { priority: 1, ..note("prioritized") },
    ];
    let mut ids = Vec::new();
    for job in jobs {
        ids.push(queue.enqueue(job).await);
    }
    for id in &ids {
        assert_eq!(queue.control().cancel(id).await.unwrap(), Some(Cancelled::Cancelled));
        assert_eq!(queue.control().cancel(id).await.unwrap(), Some(Cancelled::Ended));
        assert_eq!(queue.job(id).await.state, JobState::Cancelled);
    }
    assert_eq!(queue.control().cancel("nothing").await.unwrap(), None);
    let worker = queue.work();
    let last = queue.enqueue(NewJob { delay: Duration::from_millis(300), ..note("last") }).await;
    queue.end_of(&last).await;
    worker.drain().await;
    assert_eq!(*queue.ledger.runs.lock().unwrap(), ["last"]);
    let counts = queue.inspector.counts().await.unwrap().remove(0);
    assert_eq!((counts.ready, counts.scheduled, counts.running), (0, 0, 0));
}

#[tokio::test]
async fn a_running_job_is_told_and_ends_as_cancelled() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let id = queue.enqueue(wait(60_000)).await;
    eventually(LONG, "it runs", async || queue.ledger.count() == 1).await;
    assert_eq!(queue.control().cancel(&id).await.unwrap(), Some(Cancelled::Told));
    let job = queue.end_of(&id).await;
    assert_eq!((job.state, job.attempt), (JobState::Cancelled, 1));
    worker.drain().await;
    assert_eq!(*queue.ledger.runs.lock().unwrap(), ["begin", "told to stop"]);
}

#[tokio::test]
async fn progress_is_seen_from_outside_while_the_job_runs() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let id = queue.enqueue(wait(60_000)).await;
    let seen = async || queue.job(&id).await.progress == Some(json!({ "done": 1, "of": 2 }));
    eventually(LONG, "its progress is seen", seen).await;
    let workers = queue.inspector.workers().await.unwrap();
    assert_eq!((workers.len(), workers[0].id.as_str()), (1, worker.identity.as_str()));
    let running = async || {
        let workers = queue.inspector.workers().await.unwrap();
        workers[0].running.first().is_some_and(|job| job.id == id && job.job == "obedient")
    };
    eventually(LONG, "the worker tells what it runs", running).await;
    queue.control().cancel(&id).await.unwrap();
    queue.end_of(&id).await;
    worker.drain().await;
    assert_eq!(queue.inspector.workers().await.unwrap().len(), 0, "it has said goodbye");
}

#[tokio::test]
async fn dead_letters_are_replayed_by_filter_edited_and_discarded() {
    let queue = Queue::new().await;
    let worker = queue.work();
    let bad = queue.enqueue(behave("discard")).await;
    let mut redis = queue.redis().await;
    let unreadable = "unreadable";
    let _: () = redis::pipe()
        .hset(queue.key("data"), unreadable, "{")
        .rpush(queue.key("active"), unreadable)
        .query_async(&mut redis)
        .await
        .unwrap();
    for id in [bad.as_str(), unreadable] {
        assert_eq!(queue.end_of(id).await.state, JobState::Dead);
    }
    let only = |error: &str| DeadFilter { error: Some(error.to_owned()), ..DeadFilter::default() };
    assert_eq!(queue.control().replay(&only("no such text")).await.unwrap(), 0);
    assert_eq!(queue.control().replay(&only("makes no sense")).await.unwrap(), 1);
    let again = async || queue.ledger.count() == 2 && queue.job(&bad).await.state == JobState::Dead;
    eventually(LONG, "it died again", again).await;
    let error = queue.control().retry(&bad, Some(json!({ "hwo": "ok" }))).await.unwrap_err();
    assert!(error.to_string().contains("/hwo"), "{error}");
    assert_eq!(queue.control().retry(&bad, Some(json!({ "how": "ok" }))).await.unwrap(), Some(true));
    let job = queue.end_of(&bad).await;
    assert_eq!((job.state, job.attempt, job.args), (JobState::Succeeded, 1, json!({ "how": "ok" })));
    assert_eq!(queue.control().retry(&bad, None).await.unwrap(), Some(false), "it has succeeded");
    assert!(queue.control().discard(unreadable).await.unwrap());
    assert!(!queue.control().discard(unreadable).await.unwrap());
    assert_eq!(queue.control().discard_all(&DeadFilter::default()).await.unwrap(), 0);
    worker.drain().await;
}

#[tokio::test]
async fn a_purged_queue_is_empty_and_its_jobs_are_cancelled() {
    let queue = Queue::new().await;
    let ready = queue.enqueue(note("a")).await;
    queue.enqueue(NewJob { delay: Duration::from_mins(1), ..note("b") }).await;
    queue.enqueue(NewJob { priority: 2, ..note("c") }).await;
    assert_eq!(queue.control().purge("default").await.unwrap(), 3);
    assert_eq!(queue.job(&ready).await.state, JobState::Cancelled);
    let counts = queue.inspector.counts().await.unwrap().remove(0);
    assert_eq!((counts.ready, counts.scheduled), (0, 0));
}

#[tokio::test]
async fn a_purge_goes_on_behind_jobs_that_were_cancelled_before() {
    let queue = Queue::new().await;
    let jobs = queue.producer.enqueue_all((0..450).map(|_| note("a")).collect()).await.unwrap();
    for job in &jobs[..250] {
        queue.control().cancel(&job.id).await.unwrap();
    }
    assert_eq!(queue.control().purge("default").await.unwrap(), 200);
    let left: usize = queue.redis().await.llen(queue.key("active")).await.unwrap();
    assert_eq!((queue.inspector.counts().await.unwrap()[0].ready, left), (0, 0));
}

#[tokio::test]
async fn an_id_that_was_pushed_twice_and_cancelled_ends_once() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let twice = queue.enqueue(note("a")).await;
    let _: () = redis.rpush(queue.key("active"), &twice).await.unwrap();
    queue.control().cancel(&twice).await.unwrap();
    let last = queue.enqueue(note("b")).await;
    let worker = queue.work();
    queue.end_of(&last).await;
    let ended = async || redis.clone().lrange::<_, Vec<String>>(queue.key("done"), 0, -1).await.unwrap();
    eventually(LONG, "both have ended", async || ended().await.len() == 2).await;
    let mut ids = ended().await;
    ids.sort();
    let mut expected = [twice, last];
    expected.sort();
    assert_eq!(ids, expected);
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_leaves_the_list_of_ended_jobs_is_forgotten_only_when_it_has_ended() {
    let mut queue = Queue::new().await;
    queue.settings.keep_succeeded_count = 0;
    let later = NewJob { delay: Duration::from_hours(1), ..note("later") };
    let later = queue.enqueue(later).await;
    // As a version before may have left it.
    let _: () = queue.redis().await.rpush(queue.key("done"), &later).await.unwrap();
    let worker = queue.work();
    let mut redis = queue.redis().await;
    let ended = async || redis.clone().llen::<_, usize>(queue.key("done")).await.unwrap();
    eventually(LONG, "the entry was removed", async || ended().await == 0).await;
    assert_eq!(queue.job(&later).await.state, JobState::Scheduled);
    let exists: bool = redis.hexists(queue.key("data"), &later).await.unwrap();
    assert!(exists);
    worker.drain().await;
}

#[tokio::test]
async fn a_job_that_was_cancelled_in_a_paused_queue_can_be_tried_again() {
    let queue = Queue::new().await;
    queue.control().pause("default").await.unwrap();
    let id = queue.enqueue(note("a")).await;
    queue.control().cancel(&id).await.unwrap();
    assert_eq!(queue.job(&id).await.state, JobState::Cancelled);
    queue.control().retry(&id, None).await.unwrap();
    assert_eq!(queue.job(&id).await.state, JobState::Ready);
    queue.control().resume("default").await.unwrap();
    let worker = queue.work();
    let job = queue.end_of(&id).await;
    assert_eq!((job.state, job.attempt, queue.ledger.count()), (JobState::Succeeded, 1, 1));
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

#[tokio::test]
async fn history_tells_what_ran_how_long_and_what_failed() {
    let queue = Queue::new().await;
    let worker = queue.work();
    for _ in 0..3 {
        let id = queue.enqueue(NewJob::new("sleep", json!({ "ms": 50 }))).await;
        queue.end_of(&id).await;
    }
    let id = queue.enqueue(behave("discard")).await;
    queue.end_of(&id).await;
    let history = queue.inspector.history(Duration::from_hours(1)).await.unwrap();
    let of = |name: &str| history.iter().find(|line| line.job == name).unwrap();
    assert_eq!((of("sleep").succeeded, of("sleep").dead, of("behave").dead), (3, 0, 1));
    assert!(of("sleep").p50_ms > 40.0 && of("sleep").mean_ms >= 50.0, "{:?}", of("sleep"));
    worker.drain().await;
}

#[tokio::test]
async fn a_cancelled_job_has_no_other_attempt_when_it_fails_or_its_worker_dies() {
    let queue = Queue::new().await;
    queue.ledger.failures_left.store(u32::MAX, Ordering::SeqCst);
    let mut redis = queue.redis().await;
    // It fails before its worker could be told.
    let failing = queue.enqueue(behave("fail")).await;
    let _: () = redis.hset(queue.key("cancel"), &failing, 1).await.unwrap();
    // And one whose worker is gone.
    let orphan = queue.enqueue(note("orphan")).await;
    let _: i64 = redis.lrem(queue.key("active"), 1, &orphan).await.unwrap();
    let _: () = redis.zadd(queue.key("leases"), &orphan, 1).await.unwrap();
    let _: () = redis.hset(queue.key("run"), &orphan, "running\t1\tgone:1\tgone\t1\t\t\t").await.unwrap();
    assert_eq!(queue.control().cancel(&orphan).await.unwrap(), Some(Cancelled::Told));
    let worker = queue.work();
    for id in [&failing, &orphan] {
        assert_eq!(queue.end_of(id).await.state, JobState::Cancelled);
    }
    assert_eq!(queue.ledger.count(), 1);
    // The lost worker's late outcome is not taken for this end.
    let run: String = redis.hget(queue.key("run"), &orphan).await.unwrap();
    assert!(!run.contains("gone:1"), "{run}");
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_expired_job_is_not_run_and_its_time_begins_anew_when_it_is_replayed() {
    let queue = Queue::new().await;
    let id = queue.enqueue(NewJob { expires: Some(Duration::from_millis(1)), ..note("late") }).await;
    let expires_at = queue.job(&id).await.expires_at.unwrap().timestamp_millis();
    eventually(LONG, "its time is over", async || queue.client.time_ms().await.unwrap() > expires_at).await;
    let worker = queue.work();
    assert_eq!((queue.end_of(&id).await.state, queue.ledger.count()), (JobState::Expired, 0));
    assert_eq!(queue.control().retry(&id, None).await.unwrap(), Some(true));
    eventually(LONG, "it has run", async || queue.job(&id).await.state == JobState::Succeeded).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_replayed_job_takes_its_unique_key_again_or_waits_for_it() {
    let queue = Queue::new().await;
    let unique = |job: NewJob| NewJob {
        unique: Some(Unique { key: "k".to_owned(), until: UniqueUntil::Done }),
        ..job
    };
    let worker = queue.work();
    let dead = queue.enqueue(unique(behave("discard"))).await;
    assert_eq!(queue.end_of(&dead).await.state, JobState::Dead);
    worker.drain().await;
    let holder = queue.enqueue(unique(note("holder"))).await;
    assert_eq!(queue.control().retry(&dead, None).await.unwrap(), Some(false), "another holds the key");
    queue.control().cancel(&holder).await.unwrap();
    assert_eq!(queue.control().retry(&dead, None).await.unwrap(), Some(true));
    assert!(!queue.producer.enqueue(unique(note("third"))).await.unwrap().is_new);
}

#[tokio::test]
async fn one_document_that_makes_no_sense_costs_no_other_job() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let documents = [
        r#"{"job": "note", "args": {"text": "a"}, "unique_key": null, "celery": {}}"#,
        r#"{"job": "note", "args": {"text": "b"}, "priority": 1e999}"#,
        r#"{"job": "note", "args": {"text": "c"}, "celery": {"id": null}, "priority": "high"}"#,
    ];
    for (n, document) in documents.iter().enumerate() {
        let _: () = redis.hset(queue.key("data"), n, *document).await.unwrap();
        let _: () = redis.rpush(queue.key("active"), n).await.unwrap();
        // As an impatient producer does.
        let _: () = redis.rpush(queue.key("active"), n).await.unwrap();
    }
    let good = queue.enqueue(note("good")).await;
    for id in ["0", "2"] {
        assert_eq!(queue.control().cancel(id).await.unwrap(), Some(Cancelled::Cancelled));
    }
    let worker = queue.work();
    assert_eq!(queue.end_of(&good).await.state, JobState::Succeeded);
    queue.end_of("1").await;
    worker.drain().await;
    assert_eq!(queue.left_over().await, Vec::<String>::new());
    let done: Vec<String> = redis.lrange(queue.key("done"), 0, -1).await.unwrap();
    let once: std::collections::BTreeSet<&String> = done.iter().collect();
    assert_eq!(once.len(), done.len(), "an id ended twice: {done:?}");
}

#[tokio::test]
async fn absurd_times_are_refused_and_cost_no_worker() {
    let queue = Queue::new().await;
    let absurd = Duration::from_secs(u64::MAX);
    for (job, field) in [
        (NewJob { backoff: Some(Pause::Fixed(absurd)), ..note("a") }, "backoff"),
        (
            NewJob {
                unique: Some(Unique { key: "k".to_owned(), until: UniqueUntil::Window(absurd) }),
                ..note("b")
            },
            "unique_until",
        ),
        (NewJob { delay: absurd, ..note("c") }, "delay"),
        (NewJob { run_at: Some(DateTime::<Utc>::MAX_UTC), ..note("d") }, "run_at"),
        (NewJob { timeout: Some(Duration::ZERO), ..note("e") }, "timeout"),
        (NewJob { max_age: Some(Duration::from_micros(400)), ..note("f") }, "max_age"),
        (NewJob { expires: Some(Duration::ZERO), ..note("g") }, "expires"),
    ] {
        let error = queue.producer.enqueue(job).await.unwrap_err().to_string();
        assert!(error.starts_with(field), "{error}");
    }
    // What other producers write is not checked before it runs.
    let mut redis = queue.redis().await;
    queue.ledger.failures_left.store(1, Ordering::SeqCst);
    let document = r#"{"job": "behave", "args": {"how": "fail"}, "backoff": "fixed:18446744073709551615s", "max_age_ms": 1000}"#;
    let _: () = redis.hset(queue.key("data"), "absurd", document).await.unwrap();
    let _: () = redis.rpush(queue.key("active"), "absurd").await.unwrap();
    let good = queue.enqueue(note("good")).await;
    let worker = queue.work();
    assert_eq!(queue.end_of("absurd").await.state, JobState::Dead);
    assert_eq!(queue.end_of(&good).await.state, JobState::Succeeded);
    worker.drain().await;
}
