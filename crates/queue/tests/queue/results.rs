//! What a job returns is kept, unless it is too large.

use std::sync::Arc;

use dogwatch_queue::{Job, JobError, JobState, NewJob, Registry, ResultError, Retry, Run, secs};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{Ledger, Queue, registry};

/// Returns so many letters.
#[derive(Serialize, Deserialize)]
struct Letters {
    count: usize,
}

impl Job for Letters {
    const NAME: &'static str = "letters";
    const RETRY: Retry = Retry::none();
    const TIMEOUT: std::time::Duration = secs(5);
    type Context = Arc<Ledger>;
    type Outcome = String;
    async fn run(self, ledger: &Run<Arc<Ledger>>) -> Result<String, JobError> {
        ledger.runs.lock().unwrap().push("run".to_owned());
        Ok("x".repeat(self.count))
    }
}

fn with_letters() -> Registry<Arc<Ledger>> {
    registry().with::<Letters>()
}

#[tokio::test]
async fn a_job_with_a_result_that_is_too_large_has_succeeded_and_says_why_there_is_none() {
    let queue = Queue::new().await;
    let worker = queue.work_with(with_letters());
    let producer = dogwatch_queue::Producer::new(queue.client.clone(), with_letters().catalog());
    let letters = |count: usize| NewJob::new("letters", json!({ "count": count }));
    let small = producer.enqueue(letters(3)).await.unwrap().id;
    let large = producer.enqueue(letters(300_000)).await.unwrap().id;
    let job = queue.end_of(&small).await;
    assert_eq!((job.state, job.result, job.result_error), (JobState::Succeeded, Some(json!("xxx")), None));
    let job = queue.end_of(&large).await;
    assert_eq!((job.state, job.attempt, job.result), (JobState::Succeeded, 1, None));
    assert_eq!(job.result_error, Some(ResultError::TooLarge { bytes: 300_002, limit: 262_144 }));
    worker.drain().await;
    assert_eq!(queue.ledger.count(), 2);
}
