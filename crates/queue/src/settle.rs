//! Stores outcomes: many in one step, each kept until Redis has accepted or refused it.
//!
//! While one group is under way the next gathers, so a busy worker settles some dozens of jobs with one command and
//! an idle one settles its only job at once. However long Redis is away, outcomes are kept; their number is bounded by
//! the number of slots, since a job holds its slot until its outcome is stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::script::Step;
use crate::settings::Settings;

/// Outcomes in one step.
const BATCH: usize = 128;
/// How long outcomes are still offered to a Redis that is away when the worker has to end.
const LAST_CALL: Duration = Duration::from_secs(3);

/// And how long when it has to end at once.
const LAST_WORD: Duration = Duration::from_millis(300);

/// An outcome on its way to Redis: the arguments of `settle.lua`.
pub(crate) struct Settlement {
    pub(crate) queue: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) token: String,
    pub(crate) outcome: &'static str,
    pub(crate) detail: String,
    pub(crate) number: Option<u64>,
    pub(crate) job: String,
    /// Absent when the job did not run.
    pub(crate) run: Option<Duration>,
    /// What else happens with it, as JSON; empty for most.
    pub(crate) more: String,
    pub(crate) verdict: oneshot::Sender<Verdict>,
}

/// What became of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the job's outcome.
    Accepted,
    /// The lease was lost; another claim decides.
    Refused,
    /// Redis was away until the worker had to end; the lease lapses and the job runs again.
    Unsent,
}

/// The task that stores outcomes.
pub(crate) struct Settler {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    /// From now on, Redis gets a last call only.
    pub(crate) give_back: CancellationToken,
    /// Only a last word.
    pub(crate) now: CancellationToken,
}

impl Settler {
    /// Stores what comes until all senders are gone.
    pub(crate) async fn run(self, mut outcomes: mpsc::Receiver<Settlement>) {
        let mut group = Vec::with_capacity(BATCH);
        while outcomes.recv_many(&mut group, BATCH).await > 0 {
            let mut by_queue: HashMap<Arc<str>, Vec<Settlement>> = HashMap::new();
            for settlement in group.drain(..) {
                by_queue.entry(settlement.queue.clone()).or_default().push(settlement);
            }
            for (queue, settlements) in by_queue {
                self.settle(&queue, settlements).await;
            }
        }
    }

    /// Offers a group until Redis takes it, or the worker has to end.
    async fn settle(&self, queue: &str, settlements: Vec<Settlement>) {
        let mut outage = Outage::of("redis");
        let offer = async {
            loop {
                match self.offer(queue, &settlements).await {
                    Ok(answers) => break answers,
                    Err(error) => outage.wait("store the outcomes of jobs", &error).await,
                }
            }
        };
        let last_call = async {
            self.give_back.cancelled().await;
            tokio::select! {
                () = tokio::time::sleep(LAST_CALL) => {}
                () = async {
                    self.now.cancelled().await;
                    tokio::time::sleep(LAST_WORD).await;
                } => {}
            }
        };
        let answers = tokio::select! {
            biased;
            answers = offer => answers,
            () = last_call => Vec::new(),
        };
        let mut answers = answers.into_iter();
        for settlement in settlements {
            let verdict = match answers.next() {
                Some(1) => Verdict::Accepted,
                Some(_) => Verdict::Refused,
                None => Verdict::Unsent,
            };
            // Fails only when the run was dropped with its worker.
            let _ = settlement.verdict.send(verdict);
        }
    }

    async fn offer(&self, queue: &str, settlements: &[Settlement]) -> Result<Vec<i64>, QueueError> {
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Settle, &keys);
        call.arg(self.settings.keep_succeeded_count).arg(self.settings.keep_dead_count);
        for settlement in settlements {
            let Settlement { id, token, outcome, detail, number, job, run, more, .. } = settlement;
            let number = number.map(|n| n.to_string()).unwrap_or_default();
            let (run_ms, bucket) = run.map_or_else(Default::default, |run| {
                (run.as_millis().to_string(), crate::history::bucket(run).to_string())
            });
            call.arg(&**id).arg(token).arg(*outcome).arg(detail).arg(number);
            call.arg(job).arg(run_ms).arg(bucket).arg(more);
        }
        call.invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("store the outcomes of jobs"))
    }
}
