//! A worker that does not know a job puts it back for one that does.

use std::time::Duration;

use dogwatch_queue::{JobState, NewJob, Registry};
use dogwatch_testing::eventually;
use redis::AsyncCommands;

use crate::support::{LONG, Note, Queue, behave, note};

#[tokio::test]
async fn beside_an_old_worker_a_thousand_jobs_of_a_new_name_succeed() {
    let queue = Queue::new().await;
    let old = queue.work_with(Registry::new().with::<Note>());
    let new = queue.work();
    let jobs = (0..1000).map(|n| behave(&n.to_string())).collect();
    let jobs = queue.producer.enqueue_all(jobs).await.unwrap();
    // The old worker goes on with what it knows.
    let known = queue.enqueue(note("known")).await;
    assert_eq!(queue.end_of(&known).await.state, JobState::Succeeded);
    for job in &jobs {
        let job = queue.end_of(&job.id).await;
        assert_eq!((job.state, job.attempt), (JobState::Succeeded, 1), "{:?}", job.error);
    }
    old.drain().await;
    new.drain().await;
    assert_eq!(queue.ledger.count(), 1001);
    assert_eq!(queue.left_over().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_that_no_worker_knows_says_why_it_waits_and_is_dead_in_the_end() {
    let mut queue = Queue::new().await;
    queue.settings.unknown_for = Duration::from_secs(2);
    let old = queue.work_with(Registry::new().with::<Note>());
    let id = queue.enqueue(NewJob { max_attempts: Some(1), ..behave("new") }).await;
    let waits = async || queue.job(&id).await.error.is_some();
    eventually(LONG, "it says why it waits", waits).await;
    let job = queue.job(&id).await;
    assert_eq!((job.state, job.attempt), (JobState::Scheduled, 0));
    assert_eq!(queue.inspector.counts().await.unwrap()[0].unknown, 1);
    let job = queue.end_of(&id).await;
    assert_eq!((job.state, job.attempt), (JobState::Dead, 1));
    assert!(job.error.as_ref().unwrap().contains("knows job `behave`"), "{:?}", job.error);
    // Replayed, it has its whole time again.
    let mut redis = queue.redis().await;
    assert!(!redis.hexists::<_, _, bool>(queue.key("unknown"), &id).await.unwrap());
    let new = queue.work();
    assert_eq!(queue.control().retry(&id, None).await.unwrap(), Some(true));
    let succeeded = async || queue.job(&id).await.state == JobState::Succeeded;
    eventually(LONG, "a worker that knows it runs it", succeeded).await;
    old.drain().await;
    new.drain().await;
}

#[tokio::test]
async fn a_job_that_waits_for_a_worker_that_knows_it_can_be_cancelled_and_expires() {
    let queue = Queue::new().await;
    let old = queue.work_with(Registry::new().with::<Note>());
    let cancelled = queue.enqueue(behave("a")).await;
    let expired = queue.enqueue(NewJob { expires: Some(Duration::from_millis(500)), ..behave("b") }).await;
    eventually(LONG, "it waits", async || queue.job(&cancelled).await.error.is_some()).await;
    queue.control().cancel(&cancelled).await.unwrap();
    assert_eq!(queue.end_of(&cancelled).await.state, JobState::Cancelled);
    assert_eq!(queue.end_of(&expired).await.state, JobState::Expired);
    old.drain().await;
}
