//! Runs one claimed job and decides what comes of it.
//!
//! The job runs in a task of its own, so that jobs use all cores, a panic is contained, and a job that does not come
//! to an end can be left behind. Its slot and its lease are held until Redis has accepted or refused the outcome.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::claim::Claimed;
use crate::client::Client;
use crate::clock::Clock;
use crate::context::{About, Run};
use crate::error::QueueError;
use crate::job::JobError;
use crate::outage::Outage;
use crate::outcome::{Outcome, Policy, beginning, stored_result, tell};
use crate::record::{Options, Payload};
use crate::registry::{JobInfo, Registry};
use crate::script::Step;
use crate::settings::{Limit, Settings};
use crate::settle::{Settlement, Verdict};
use crate::unknown::UnknownJobs;

/// How long a job that was called off may go on before it is left behind; its time limit may come first.
const CANCEL_GRACE: Duration = Duration::from_secs(10);
/// How the error of a job that took too long begins.
pub(crate) const TIME_LIMIT: &str = "stopped at its time limit";

/// What all runs of one worker share.
pub(crate) struct Runner<C> {
    pub(crate) client: Client,
    pub(crate) registry: Registry<C>,
    pub(crate) context: Arc<C>,
    pub(crate) settings: Settings,
    pub(crate) worker: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) unknown: UnknownJobs,
    /// By queue: who stores outcomes.
    pub(crate) outcomes: HashMap<Arc<str>, mpsc::Sender<Settlement>>,
    /// No new attempt begins.
    pub(crate) drain: CancellationToken,
    /// Attempts end now and jobs are given back.
    pub(crate) give_back: CancellationToken,
}

impl<C: Send + Sync + 'static> Runner<C> {
    /// Runs the job and stores what came of it. A bug of ours in between costs this attempt, not the worker.
    pub(crate) async fn perform(&self, claimed: Claimed) {
        let id = claimed.id.clone();
        if AssertUnwindSafe(self.perform_it(claimed)).catch_unwind().await.is_err() {
            tracing::error!(
                job.id = &*id,
                "a bug stopped this run; the job runs again when its lease has lapsed"
            );
        }
    }

    async fn perform_it(&self, claimed: Claimed) {
        let started = Instant::now();
        let payload =
            claimed.payload.as_deref().ok_or_else(|| "it has no payload".to_owned()).and_then(Payload::parse);
        let (name, options, outcome) = match payload {
            Ok(Payload { job, args, options }) => self.begin(&claimed, job, args, options).await,
            Err(error) => {
                let dead = Outcome::Dead { error: beginning(&error), max_attempts: None };
                ("?".to_owned(), Options::default(), dead)
            }
        };
        let took = started.elapsed();
        let verdict = match &outcome {
            Outcome::Waits => return,
            Outcome::Lost => Verdict::Refused,
            outcome => self.settle(&claimed, &name, &options, outcome, took).await,
        };
        tell(&name, &claimed, options.trace(&claimed.id).trace_id(), &outcome, verdict, took);
    }

    /// Finds the job and attempts it. Returns its name as it is counted: `?` for one that does not exist.
    async fn begin(
        &self,
        claimed: &Claimed,
        job: String,
        args: Value,
        options: Options,
    ) -> (String, Options, Outcome) {
        let Some((info, run)) = self.registry.get(&job) else {
            let outcome = self.without_a_handler(claimed, &job, &options);
            return ("?".to_owned(), options, outcome);
        };
        let _ = claimed.lease.signals.job.set(job.clone());
        let outcome = self.attempt(claimed, &info, run, args, &options).await;
        (job, options, outcome)
    }

    /// Another worker may know the job.
    fn without_a_handler(&self, claimed: &Claimed, name: &str, options: &Options) -> Outcome {
        if options.expires_at.is_some_and(|at| at <= claimed.now_ms) {
            return Outcome::Expired;
        }
        if self.drain.is_cancelled() {
            return Outcome::Released;
        }
        self.unknown.count(&claimed.queue, name);
        let hint = self.registry.nearest(name).map(|known| format!("; did you mean `{known}`?"));
        let hint = hint.unwrap_or_default();
        Outcome::Unknown { error: format!("no worker that has claimed it so far knows job `{name}`{hint}") }
    }

    async fn attempt(
        &self,
        claimed: &Claimed,
        info: &JobInfo,
        run: &crate::registry::Run<C>,
        args: Value,
        options: &Options,
    ) -> Outcome {
        let policy = Policy::of(info, options);
        if claimed.attempt > policy.max_attempts {
            let error =
                format!("all {} attempts ended with a lost worker or were used up", policy.max_attempts);
            return Outcome::Dead { error, max_attempts: Some(policy.max_attempts) };
        }
        if options.expires_at.is_some_and(|at| at <= claimed.now_ms) {
            return Outcome::Expired;
        }
        if self.drain.is_cancelled() {
            return Outcome::Released;
        }
        if let Some(limit) = self.settings.limits.get(info.name)
            && let Some(outcome) = self.admit(claimed, &limit.name(info.name, &args), limit).await
        {
            return outcome;
        }
        let signals = &claimed.lease.signals;
        let job = self.start(claimed, run, args, options);
        let cancelled = async {
            signals.cancelled.cancelled().await;
            tokio::time::sleep(CANCEL_GRACE).await;
        };
        // Dropping the handle stops the task at its next wait; a job that never waits is left behind, not waited for.
        let ended = tokio::select! {
            biased;
            () = signals.lost.cancelled() => return Outcome::Lost,
            ended = job => ended,
            () = cancelled => return Outcome::Cancelled,
            () = tokio::time::sleep(policy.timeout) => {
                let error = format!("{TIME_LIMIT} of {:?}", policy.timeout);
                Ok(Err(JobError::retry(error)))
            }
            () = self.give_back.cancelled() => return Outcome::Released,
        };
        let error = match ended {
            Ok(Ok(result)) => return Outcome::Succeeded(result),
            Ok(Err(error)) => error,
            Err(stopped) => JobError::retry(panic_message(stopped)),
        };
        if signals.cancelled.is_cancelled() {
            return Outcome::Cancelled;
        }
        let enqueued_at = options.enqueued_at.unwrap_or(claimed.now_ms);
        let age = Duration::from_millis(u64::try_from(claimed.now_ms - enqueued_at).unwrap_or_default());
        policy.after(&error, claimed.attempt, age)
    }

    fn start(
        &self,
        claimed: &Claimed,
        run: &crate::registry::Run<C>,
        args: Value,
        options: &Options,
    ) -> AbortOnDropHandle<Result<Value, JobError>> {
        let about = About {
            id: claimed.id.clone(),
            queue: claimed.queue.clone(),
            worker: self.worker.clone(),
            token: claimed.token.clone(),
            attempt: claimed.attempt,
            schedule: options.schedule.clone(),
            slot_ms: options.slot_ms,
            signals: claimed.lease.signals.clone(),
            drain: self.drain.clone(),
        };
        // What the job and its SQL log belongs to it.
        let span = tracing::info_span!("job", job.id = &*claimed.id, trace_id = %options.trace(&claimed.id).trace_id());
        let running = run(args, Run::new(self.context.clone(), Arc::new(about)));
        AbortOnDropHandle::new(tokio::spawn(running.instrument(span)))
    }

    /// Asks for a place under the job's limit. `None`: it may run.
    async fn admit(&self, claimed: &Claimed, name: &str, limit: &Limit) -> Option<Outcome> {
        let keys = self.client.queue(&claimed.queue);
        let (places, permits, period_ms) = limit.numbers();
        let mut outage = Outage::of("redis");
        loop {
            let mut call = self.client.step(Step::Admit, &keys);
            call.arg(&*claimed.id).arg(&claimed.token).arg(name);
            call.arg(places).arg(permits).arg(period_ms);
            let answer = call.invoke_async::<i64>(&mut self.client.connection()).await;
            if answer.is_ok() {
                outage.over();
            }
            match answer.map_err(QueueError::redis("ask for a place under a limit")) {
                Ok(1) => return None,
                Ok(0) => return Some(Outcome::Waits),
                Ok(2) => return Some(Outcome::Cancelled),
                Ok(_) => return Some(Outcome::Lost),
                Err(error) => {
                    tokio::select! {
                        () = outage.wait("ask for a place under a limit", &error) => {}
                        () = self.give_back.cancelled() => return Some(Outcome::Released),
                        () = claimed.lease.signals.lost.cancelled() => return Some(Outcome::Lost),
                    }
                }
            }
        }
    }

    async fn settle(
        &self,
        claimed: &Claimed,
        name: &str,
        options: &Options,
        outcome: &Outcome,
        took: Duration,
    ) -> Verdict {
        let ms = |pause: &Duration| Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let (word, detail, number) = match outcome {
            Outcome::Succeeded(result) => ("succeeded", stored_result(result), None),
            Outcome::Retry { error, pause } => ("retry", beginning(error), ms(pause)),
            Outcome::Dead { error, max_attempts } => ("dead", beginning(error), max_attempts.map(u64::from)),
            Outcome::Cancelled => ("cancelled", String::new(), None),
            Outcome::Expired => ("expired", String::new(), None),
            Outcome::Snoozed(pause) => ("snoozed", String::new(), ms(pause)),
            Outcome::Unknown { error } => ("unknown", beginning(error), ms(&self.settings.unknown_for)),
            Outcome::Released | Outcome::Waits | Outcome::Lost => ("released", String::new(), None),
        };
        let (verdict, answer) = oneshot::channel();
        let settlement = Settlement {
            id: claimed.id.clone(),
            token: claimed.token.clone(),
            outcome: word,
            detail,
            number,
            job: name.to_owned(),
            run: (!matches!(outcome, Outcome::Released | Outcome::Expired | Outcome::Unknown { .. }))
                .then_some(took),
            more: self.more(options, outcome),
            verdict,
        };
        let Some(outcomes) = self.outcomes.get(&claimed.queue) else { return Verdict::Unsent };
        if outcomes.send(settlement).await.is_err() {
            return Verdict::Unsent;
        }
        answer.await.unwrap_or(Verdict::Unsent)
    }

    /// What else happens with the outcome, as JSON; nothing for most jobs.
    fn more(&self, options: &Options, outcome: &Outcome) -> String {
        let mut more = Map::new();
        let is_held = options.unique_until.as_deref().is_some_and(|until| until != "window");
        if let Some(key) = options.unique_key.as_ref().filter(|_| is_held) {
            more.insert("unique_key".to_owned(), Value::String(key.clone()));
        }
        if let Some(origin) = &options.celery {
            let too_large = outcome.too_large().map(|error| error.to_string());
            more.extend(origin.news(outcome.ending(too_large.as_deref()), self.clock.now()));
        }
        if more.is_empty() { String::new() } else { Value::Object(more).to_string() }
    }
}

fn panic_message(stopped: tokio::task::JoinError) -> String {
    match stopped.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            format!("panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
        }
        Err(_) => "was stopped".to_owned(),
    }
}
