//! A job is identified by its queue and its id: the same id in another queue is another job.

use std::time::Duration;

use dogwatch_queue::scheduler::Book;
use dogwatch_queue::{
    Cancelled, JobFilter, JobRef, JobState, ListPosition, NewJob, QueueError, Relayed, Unique, UniqueUntil,
};
use redis::AsyncCommands;

use crate::support::{Queue, behave, note};

/// The same id in `default` and in `zlow`.
const ID: &str = "order-8";

fn in_queue(queue: &str, job: NewJob) -> NewJob {
    NewJob { queue: queue.to_owned(), id: Some(ID.to_owned()), ..job }
}

fn of(queue: &str) -> JobRef<'_> {
    JobRef::new(ID, Some(queue))
}

async fn twice() -> Queue {
    let queue = Queue::new().await;
    for name in ["default", "zlow"] {
        let job = NewJob { delay: Duration::from_hours(1), ..in_queue(name, note(name)) };
        assert!(queue.producer.enqueue(job).await.unwrap().is_new, "{name}");
    }
    queue
}

fn is_ambiguous<T>(answer: Result<T, QueueError>) {
    let Err(QueueError::Ambiguous { id, queues }) = answer else { panic!("not ambiguous") };
    assert_eq!((id.as_str(), queues), (ID, vec!["default".to_owned(), "zlow".to_owned()]));
}

#[tokio::test]
async fn a_command_on_an_id_of_several_queues_names_them_and_changes_nothing() {
    let queue = twice().await;
    let control = queue.control();
    is_ambiguous(queue.inspector.job(ID).await);
    is_ambiguous(control.cancel(ID).await);
    is_ambiguous(control.retry(ID, None).await);
    is_ambiguous(control.discard(ID).await);
    let error = queue.inspector.job(ID).await.unwrap_err().to_string();
    assert_eq!(error, "job `order-8` exists in 2 queues: `default`, `zlow`; name one of them");
    for name in ["default", "zlow"] {
        let job = queue.inspector.job(of(name)).await.unwrap().unwrap();
        assert_eq!((job.queue.as_str(), job.state), (name, JobState::Scheduled));
        assert_eq!(job.args["text"], name);
    }
}

#[tokio::test]
async fn a_command_that_names_the_queue_changes_the_job_of_that_queue_alone() {
    let queue = twice().await;
    let control = queue.control();
    let state = async |name: &str| queue.inspector.job(of(name)).await.unwrap().unwrap().state;
    assert_eq!(control.cancel(of("zlow")).await.unwrap(), Some(Cancelled::Cancelled));
    assert_eq!((state("default").await, state("zlow").await), (JobState::Scheduled, JobState::Cancelled));
    assert_eq!(control.retry(of("default"), None).await.unwrap(), Some(true));
    assert_eq!((state("default").await, state("zlow").await), (JobState::Ready, JobState::Cancelled));
    // No queue has these names; the second could not be part of a key.
    for name in ["elsewhere", "}:data"] {
        assert!(queue.inspector.job(of(name)).await.unwrap().is_none());
        assert_eq!(control.cancel(of(name)).await.unwrap(), None);
        assert_eq!(control.retry(of(name), None).await.unwrap(), None);
        assert!(!control.discard(of(name)).await.unwrap());
    }
}

#[tokio::test]
async fn a_dead_letter_is_discarded_in_its_queue_alone_and_the_only_one_needs_no_queue() {
    let mut queue = Queue::new().await;
    queue.settings.queues = vec!["default".to_owned(), "zlow".to_owned()];
    for name in ["default", "zlow"] {
        queue.producer.enqueue(in_queue(name, behave("discard"))).await.unwrap();
    }
    let worker = queue.work();
    for name in ["default", "zlow"] {
        let is_dead = async || {
            let job = queue.inspector.job(of(name)).await.unwrap();
            job.is_some_and(|job| job.state == JobState::Dead)
        };
        dogwatch_testing::eventually(crate::support::LONG, "it is dead", is_dead).await;
    }
    worker.drain().await;
    assert!(queue.control().discard(of("default")).await.unwrap());
    assert!(!queue.control().discard(of("default")).await.unwrap());
    assert_eq!(queue.job(ID).await.queue, "zlow");
    assert!(queue.control().discard(ID).await.unwrap());
    assert!(queue.inspector.job(ID).await.unwrap().is_none());
}

#[tokio::test]
async fn a_job_that_is_not_in_the_list_of_queues_is_found_by_its_queue() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let data = format!("{}:{{plain}}:data", queue.namespace);
    let _: () = redis.hset(data, ID, r#"{"job": "note", "args": {"text": "a"}}"#).await.unwrap();
    assert!(queue.inspector.job(ID).await.unwrap().is_none());
    assert_eq!(queue.inspector.job(of("plain")).await.unwrap().unwrap().job, "note");
}

#[tokio::test]
async fn a_queue_that_another_job_of_the_same_id_is_in_counts_its_own_first_job() {
    let queue = Queue::new().await;
    let later = NewJob { delay: Duration::from_hours(1), ..in_queue("a-first", note("later")) };
    queue.enqueue(later).await;
    queue.enqueue(in_queue("default", note("now"))).await;
    let counts = queue.inspector.counts().await.unwrap();
    let default = counts.iter().find(|counts| counts.name == "default").unwrap();
    assert!(default.oldest_ready_ms.is_some_and(|ms| ms >= 0), "{default:?}");
}

#[tokio::test]
async fn a_list_in_pages_misses_no_job_whose_id_and_time_another_queue_has_too() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    for name in ["default", "zlow"] {
        let prefix = format!("{}:{{{name}}}", queue.namespace);
        let document = r#"{"job": "note", "args": {"text": "a"}, "enqueued_at": 1790000000000}"#;
        let _: () = redis.hset(format!("{prefix}:data"), ID, document).await.unwrap();
        let _: () = redis.rpush(format!("{prefix}:active"), ID).await.unwrap();
        let _: () = redis.sadd(format!("{}:queues", queue.namespace), name).await.unwrap();
    }
    let (mut queues, mut behind) = (Vec::new(), None);
    for _ in 0..2 {
        let filter = JobFilter { limit: 1, behind: behind.take(), ..JobFilter::default() };
        let page = queue.inspector.jobs(&filter).await.unwrap();
        behind = page.last().map(ListPosition::of);
        queues.extend(page.into_iter().map(|job| job.queue));
    }
    assert_eq!(queues, ["zlow", "default"]);
}

#[tokio::test]
async fn the_last_tick_of_a_moved_schedule_is_the_later_one_and_names_its_queue() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    for (name, slot) in [("default", "1790000060000"), ("zlow", "1790000000000")] {
        let slots = format!("{}:{{{name}}}:slots", queue.namespace);
        let fields = [("nightly:slot", slot), ("nightly:enqueued", slot), ("nightly:job", ID)];
        let _: () = redis.hset_multiple(slots, &fields).await.unwrap();
        let _: () = redis.sadd(format!("{}:queues", queue.namespace), name).await.unwrap();
    }
    let last = queue.inspector.last_ticks(&Book::default()).await.unwrap().remove("nightly").unwrap();
    assert_eq!((last.queue.as_str(), last.at.timestamp_millis()), ("default", 1_790_000_060_000));
}

#[tokio::test]
async fn an_id_that_cannot_be_part_of_an_address_is_refused() {
    let queue = Queue::new().await;
    for id in [".", "..", ""] {
        let job = NewJob { id: Some(id.to_owned()), ..note("a") };
        let error = queue.producer.enqueue(job).await.unwrap_err();
        assert!(matches!(error, QueueError::Value { field: "id", .. }), "{error}");
    }
    queue.enqueue(NewJob { id: Some("...".to_owned()), ..note("a") }).await;
}

#[tokio::test]
async fn an_outbox_reports_what_it_did_not_enqueue_and_a_bad_id_holds_nothing_back() {
    let queue = Queue::new().await;
    queue.enqueue(NewJob { id: Some("taken".to_owned()), ..note("first") }).await;
    let unique = Some(Unique { key: "k".to_owned(), until: UniqueUntil::Done });
    queue.enqueue(NewJob { unique: unique.clone(), ..note("holder") }).await;
    let with_id = |id: &str| NewJob { id: Some(id.to_owned()), ..note("relayed") };
    let batch = vec![
        (11, with_id("taken")),
        (12, with_id("..")),
        (13, NewJob { unique, ..with_id("held") }),
        (14, with_id("new")),
    ];
    let relayed = queue.producer.relay("source", "default", batch.clone()).await.unwrap();
    assert_eq!(relayed, Relayed { position: 14, existing: vec![11], held: vec![13] });
    let again = queue.producer.relay("source", "default", batch).await.unwrap();
    assert_eq!(again, Relayed { position: 14, ..Relayed::default() });
    assert_eq!(queue.job("taken").await.args["text"], "first");
    assert_eq!(queue.job("new").await.state, JobState::Ready);
    assert!(queue.inspector.job("held").await.unwrap().is_none());
    // Under an id of its own, with the reason in place of its arguments.
    let jobs = queue.inspector.jobs(&JobFilter { limit: 100, ..JobFilter::default() }).await.unwrap();
    let bad: Vec<_> = jobs.iter().filter(|job| job.args.to_string().contains("cannot be part of")).collect();
    assert_eq!(bad.len(), 1, "{jobs:?}");
}

#[tokio::test]
async fn a_job_that_ended_just_now_is_kept_whatever_number_is_kept() {
    let mut queue = Queue::new().await;
    queue.settings.keep_succeeded_count = 0;
    queue.settings.keep_dead_count = 0;
    queue.settings.keep_succeeded = Duration::ZERO;
    queue.settings.keep_dead = Duration::ZERO;
    let worker = queue.work();
    let (good, bad) = (queue.enqueue(note("a")).await, queue.enqueue(behave("discard")).await);
    assert_eq!(queue.end_of(&good).await.state, JobState::Succeeded);
    assert_eq!(queue.end_of(&bad).await.state, JobState::Dead);
    worker.drain().await;
    // A worker sweeps as it starts.
    let worker = queue.work();
    let other = queue.enqueue(note("b")).await;
    queue.end_of(&other).await;
    worker.drain().await;
    assert_eq!(queue.job(&good).await.result, Some(serde_json::json!(1)));
    assert_eq!(queue.job(&bad).await.state, JobState::Dead);
}
