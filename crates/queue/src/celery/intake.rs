//! Moves messages from one of Celery's lists into a queue, and heeds what clients call off.
//!
//! Messages are read, decoded and then moved in one script that checks that they are still at the end of the list: so
//! none is ever in neither place, and Python workers may go on taking from the same list.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::message::{Message, Refusal, decode};
use super::reply::Exception;
use super::revoke::revocation;
use super::{Origin, Settings, Task, failures, reply, reply_of, value};
use crate::client::Client;
use crate::clock::Clock;
use crate::error::QueueError;
use crate::new_job::{Encoded, NewJob};
use crate::outage::Outage;
use crate::registry::Catalog;
use crate::script::Step;
use crate::wake::Watchers;

/// Celery's lists of one queue: a priority of 3 or more is in a list of its own. With the priority that it is here,
/// where 5 is the rule: clients that choose none send 0, and must not overtake all others.
const STEPS: [(&str, u8); 4] = [("", 5), ("\x06\x163", 6), ("\x06\x166", 7), ("\x06\x169", 8)];
/// Messages moved in one step.
const BATCH: isize = 64;
/// How long a revocation is remembered for a task that is not here yet.
const REVOKED: Duration = Duration::from_hours(3);
/// How long nothing may be published until the subscription is made anew.
const RESUBSCRIBE: Duration = Duration::from_mins(1);

/// The task that does so, for one queue of Celery.
pub(crate) struct Intake {
    client: Client,
    catalog: Catalog,
    clock: Clock,
    settings: Settings,
    list: String,
    poll: Duration,
}

/// A message in the arguments of `intake.lua`.
struct Moved {
    reason: String,
    job: Encoded,
}

impl Intake {
    /// One for each of the configured queues.
    pub(crate) fn all(client: &Client, catalog: &Catalog, settings: &crate::Settings) -> Vec<Self> {
        if client.is_cluster() && !settings.celery.queues.is_empty() {
            tracing::error!(
                "Celery's lists are not taken: in a cluster they lie in other slots, and Celery has none"
            );
            return Vec::new();
        }
        let of = |list: &String| Self {
            client: client.clone(),
            catalog: catalog.clone(),
            clock: Clock::system(),
            settings: settings.celery.clone(),
            list: list.clone(),
            poll: settings.poll,
        };
        settings.celery.queues.iter().map(of).collect()
    }

    /// Moves until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let lists: Vec<String> = STEPS.iter().map(|(suffix, _)| format!("{}{suffix}", self.list)).collect();
        let watchers = Watchers::start(&self.client, lists.iter().cloned(), "RIGHT", self.poll);
        let all: Vec<usize> = (0..lists.len()).collect();
        let mut outage = Outage::of("redis");
        let work = async {
            loop {
                match self.turn(&lists).await {
                    Ok(true) => outage.over(),
                    Ok(false) => {
                        outage.over();
                        watchers.wait(&all, self.poll).await;
                    }
                    Err(error) => outage.wait("take messages of Celery", &error).await,
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = self.heed_revocations() => {}
            () = stop.cancelled() => {}
        }
    }

    /// Moves a group; false when there is nothing.
    async fn turn(&self, lists: &[String]) -> Result<bool, QueueError> {
        for (list, (_, priority)) in lists.iter().zip(STEPS) {
            // Consumers take from the right: the oldest is last.
            let messages: Vec<Vec<u8>> = redis::cmd("LRANGE")
                .arg(list)
                .arg(-BATCH)
                .arg(-1)
                .query_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("take messages of Celery"))?;
            if !messages.is_empty() {
                self.take(list, priority, &messages).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn take(&self, list: &str, priority: u8, messages: &[Vec<u8>]) -> Result<(), QueueError> {
        self.client.announce(&self.settings.into).await?;
        let keys = self.client.queue(&self.settings.into);
        let mut call = self.client.step(Step::Intake, &keys);
        call.key(list);
        for raw in messages.iter().rev() {
            let now = self.clock.now();
            // Too large, for instance: refused like one that cannot be read.
            let moved = self.translate(raw, list, priority, now).or_else(|error| {
                let id = decode(raw).ok().map(|message| message.id);
                let (exc_type, exc_module) = ("InvalidTaskError", "celery.exceptions");
                let dependents = Box::default();
                let refusal =
                    Refusal { id, task: None, reason: error.to_string(), exc_type, exc_module, dependents };
                refuse(raw, refusal, &self.settings.into, now)
            });
            let Moved { reason, job } = moved?;
            call.arg(raw).arg(reason);
            job.add_to(&mut call);
        }
        call.invoke_async::<i64>(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("take messages of Celery"))?;
        Ok(())
    }

    /// A message as a job, or as a dead letter with what its sender is told.
    fn translate(
        &self,
        raw: &[u8],
        list: &str,
        priority: u8,
        now: DateTime<Utc>,
    ) -> Result<Moved, QueueError> {
        let message = match decode(raw) {
            Ok(message) => message,
            Err(refusal) => return refuse(raw, refusal, &self.settings.into, now),
        };
        let own_name = Task { job: message.task.clone(), args: Vec::new() };
        let task = self.settings.tasks.get(&message.task).unwrap_or(&own_name);
        let Message { id, args, kwargs, .. } = message.clone();
        let args = value::into_args(args, kwargs, &task.args);
        let wrong = match &args {
            Err(reason) => Some(format!("task() {reason}")),
            Ok(args) => self.catalog.check(&task.job, args).err().map(|error| error.to_string()),
        };
        let origin = Origin {
            id: id.clone(),
            ignore_result: message.ignore_result,
            list: list.to_owned(),
            task: message.task.clone(),
            reply: message.reply_fields.clone(),
            follow_up: message.follow_up.clone(),
        };
        let expires = message.expires.map(|at| (at - now).to_std().unwrap_or_default());
        let job = NewJob {
            queue: self.settings.into.clone(),
            id: Some(id),
            run_at: message.eta,
            priority,
            expires: [expires, message.expires_in].into_iter().flatten().min(),
            timeout: message.hard_limit,
            trace: message.traceparent.as_deref().and_then(|text| text.parse().ok()),
            ..NewJob::new(&task.job, args.unwrap_or_else(|_| json!(message.args)))
        };
        let now_ms = now.timestamp_millis();
        let Some(reason) = wrong else {
            return Ok(Moved { reason: String::new(), job: Encoded::unchecked(job, now_ms, Some(origin))? });
        };
        let exception = match self.catalog.get(&task.job) {
            Err(_) => Exception::not_registered(&message.task),
            Ok(_) => Exception::arguments(&reason),
        };
        let news = origin.news(super::Ending::Failed(exception), now);
        let job = Encoded::unchecked(job, now_ms, Some(origin))?.with_news(&Value::Object(news));
        Ok(Moved { reason, job })
    }

    async fn heed_revocations(&self) {
        let mut outage = Outage::of("redis");
        loop {
            if let Err(error) = self.listen().await {
                outage.wait("listen to what clients of Celery revoke", &error).await;
            }
        }
    }

    async fn listen(&self) -> Result<(), QueueError> {
        let listening = || QueueError::redis("listen to what clients of Celery revoke");
        let mut subscription = self.client.subscribe().await.map_err(listening())?;
        // Of every database: clients name the channel after theirs.
        subscription.psubscribe("/*.celery.pidbox").await.map_err(listening())?;
        let mut messages = subscription.into_on_message();
        // A connection that was lost without a word would be silent for ever.
        while let Ok(Some(message)) = tokio::time::timeout(RESUBSCRIBE, messages.next()).await {
            let revocation = revocation(message.get_payload_bytes());
            for id in &revocation.ids {
                self.revoke(id, revocation.terminate).await?;
            }
        }
        Ok(())
    }

    /// Durable: also for a task that is not here yet.
    async fn revoke(&self, id: &str, even_running: bool) -> Result<(), QueueError> {
        let keys = self.client.queue(&self.settings.into);
        let mut remember = redis::cmd("SET");
        remember.arg(keys.family(&format!("revoked:{id}"))).arg(1).arg("EX").arg(REVOKED.as_secs());
        let revoking = || QueueError::redis("revoke a task");
        let mut connection = self.client.connection();
        remember.query_async::<()>(&mut connection).await.map_err(revoking())?;
        let mut call = self.client.step(Step::Cancel, &keys);
        call.arg(id).arg(u8::from(even_running));
        let state: String = call.invoke_async(&mut connection).await.map_err(revoking())?;
        tracing::info!(job.id = id, state, "a client of Celery revoked a task");
        Ok(())
    }
}

/// A message that cannot be read: kept raw, and whoever waits is told.
fn refuse(raw: &[u8], refusal: Refusal, queue: &str, now: DateTime<Utc>) -> Result<Moved, QueueError> {
    let Refusal { id, task, reason, exc_type, exc_module, dependents } = refusal;
    let exception = Exception { exc_type, exc_module, message: &reason };
    let mut replies = failures(&dependents, exception, now);
    if let Some(id) = &id {
        let to = reply::ReplyFields { task_id: id.clone(), ..reply::ReplyFields::default() };
        replies.push(reply_of(id, &reply::failure(&to, exception, None, now)));
    }
    let job = NewJob {
        queue: queue.to_owned(),
        id: Some(id.unwrap_or_else(|| Uuid::now_v7().to_string())),
        ..NewJob::new(task.unwrap_or_default().chars().take(200).collect::<String>(), Value::Null)
    };
    let job = Encoded::raw(job, raw, now.timestamp_millis())?.with_news(&json!({ "replies": replies }));
    Ok(Moved { reason, job })
}
