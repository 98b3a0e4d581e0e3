//! Stores outcomes: many in one step, each kept until Redis has accepted or refused it.
//!
//! While one group is under way the next gathers, so a busy worker settles some dozens of jobs with one command and
//! an idle one settles its only job at once. However long Redis is away, outcomes are kept; their number is bounded by
//! the number of slots, since a job holds its slot until its outcome is stored.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::script::Step;
use crate::settings::Settings;

/// How often Redis may reject outcomes that it will never accept before they are given up.
const REFUSALS: u32 = 4;
/// Outcomes in one step.
const BATCH: usize = 128;
/// How long outcomes are still offered to a Redis that is away when the worker has to end.
const LAST_CALL: Duration = Duration::from_secs(3);

/// And how long when it has to end at once.
const LAST_WORD: Duration = Duration::from_millis(300);

/// An outcome on its way to Redis: the arguments of `settle.lua`.
pub(crate) struct Settlement {
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
    /// No worker has known the job for too long: it is dead.
    AcceptedAsDead,
    /// The lease was lost; another claim decides.
    Refused,
    /// Redis was away until the worker had to end; the lease lapses and the job runs again.
    Unsent,
}

/// The task that stores the outcomes of one queue: another queue's Redis may be away in a cluster.
pub(crate) struct Settler {
    pub(crate) client: Client,
    pub(crate) queue: Arc<str>,
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
            for (settlement, verdict) in self.settle(&mut group).await {
                // Fails only when the run was dropped with its worker.
                let _ = settlement.verdict.send(verdict);
            }
        }
    }

    /// Offers a group until Redis takes it, or the worker has to end.
    async fn settle(&self, group: &mut Vec<Settlement>) -> Vec<(Settlement, Verdict)> {
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
            answers = self.offer_all(group) => answers,
            () = last_call => Vec::new(),
        };
        let verdict = |answer: Option<i64>| match answer {
            Some(1) => Verdict::Accepted,
            Some(2) => Verdict::AcceptedAsDead,
            Some(_) => Verdict::Refused,
            None => Verdict::Unsent,
        };
        let mut answers = answers.into_iter();
        group.drain(..).map(|settlement| (settlement, verdict(answers.next().flatten()))).collect()
    }

    /// The answers to all; `None` for one that Redis cannot store at all, whose job runs again elsewhere.
    async fn offer_all(&self, group: &[Settlement]) -> Vec<Option<i64>> {
        match self.offer_patiently(group).await {
            Some(answers) => answers.into_iter().map(Some).collect(),
            // One of them may be what Redis does not like.
            None if group.len() > 1 => {
                let mut answers = Vec::with_capacity(group.len());
                for settlement in group.chunks(1) {
                    answers.push(
                        self.offer_patiently(settlement).await.and_then(|answers| answers.first().copied()),
                    );
                }
                answers
            }
            None => vec![None],
        }
    }

    /// Tries for as long as Redis is unavailable or refuses for now, and a few times more when it rejects
    /// what it gets.
    async fn offer_patiently(&self, group: &[Settlement]) -> Option<Vec<i64>> {
        let (mut outage, mut refusals) = (Outage::of("redis"), 0);
        loop {
            match self.offer(group).await {
                Ok(answers) => {
                    outage.over();
                    return Some(answers);
                }
                Err(error) => {
                    refusals += u32::from(!error.is_unavailable());
                    if refusals == REFUSALS {
                        tracing::error!(error = crate::error_chain(&error), "outcomes cannot be stored");
                        return None;
                    }
                    outage.wait("store the outcomes of jobs", &error).await;
                }
            }
        }
    }

    async fn offer(&self, settlements: &[Settlement]) -> Result<Vec<i64>, QueueError> {
        let keys = self.client.queue(&self.queue);
        let mut call = self.client.step(Step::Settle, &keys);
        call.arg(self.settings.most_succeeded()).arg(self.settings.most_dead());
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
