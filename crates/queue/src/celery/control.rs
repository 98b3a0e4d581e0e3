//! Listens to what clients broadcast to workers: revocations, and questions about this worker.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use redis::aio::ConnectionLike;
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::inspect::{Command, RunningTask, WorkerState, command};
use super::revoke::{Revoker, revocation};
use crate::client::Client;
use crate::clock::Clock;
use crate::error::QueueError;
use crate::lease::{Entry, Leases};
use crate::outage::Outage;
use crate::registry::Catalog;

/// How long nothing may be published until the subscription is made anew.
const RESUBSCRIBE: Duration = Duration::from_mins(1);
/// How long an answer that no client fetches is kept.
const ANSWER_KEPT: Duration = Duration::from_mins(1);

/// The task that does so, one a worker.
pub(crate) struct Control {
    client: Client,
    settings: Settings,
    revoker: Revoker,
    clock: Clock,
    leases: Leases,
    node: String,
    concurrency: usize,
    tasks: Vec<String>,
    since: DateTime<Utc>,
}

impl Control {
    /// Absent where no list of Celery's is configured, and in a cluster.
    pub(crate) fn new(
        client: &Client,
        catalog: &Catalog,
        settings: &crate::Settings,
        leases: &Leases,
        identity: &Arc<str>,
    ) -> Option<Self> {
        if settings.celery.queues.is_empty() || client.is_cluster() {
            return None;
        }
        let mut tasks: Vec<String> = settings.celery.tasks.keys().cloned().collect();
        tasks.extend(catalog.jobs().map(|job| job.name.to_owned()));
        tasks.sort();
        tasks.dedup();
        let clock = Clock::system();
        Some(Self {
            client: client.clone(),
            settings: settings.celery.clone(),
            revoker: Revoker::new(client, &settings.celery.into),
            since: clock.now(),
            clock,
            leases: leases.clone(),
            node: format!("dogwatch@{identity}"),
            concurrency: settings.concurrency,
            tasks,
        })
    }

    /// Listens until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::of("redis");
        let work = async {
            loop {
                if let Err(error) = self.listen(&mut outage).await {
                    outage.wait("listen to the commands of Celery's clients", &error).await;
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    async fn listen(&self, outage: &mut Outage) -> Result<(), QueueError> {
        let listening = || QueueError::redis("listen to the commands of Celery's clients");
        let mut subscription = self.client.subscribe().await.map_err(listening())?;
        for prefix in self.prefixes() {
            // Of every database: clients name the channel after theirs.
            let channels = format!("{}/*.celery.pidbox", escape(prefix));
            subscription.psubscribe(channels).await.map_err(listening())?;
        }
        outage.over();
        let mut messages = subscription.into_on_message();
        // A connection that was lost without a word would be silent for ever.
        while let Ok(Some(message)) = tokio::time::timeout(RESUBSCRIBE, messages.next()).await {
            if let Some(command) =
                command(message.get_payload_bytes()).filter(|command| command.is_for(&self.node))
            {
                self.obey(&command, message.get_channel_name()).await?;
            }
        }
        Ok(())
    }

    fn prefixes(&self) -> impl Iterator<Item = &str> {
        let own = Some(self.settings.prefix.as_str()).filter(|prefix| !prefix.is_empty());
        std::iter::once("").chain(own)
    }

    async fn obey(&self, command: &Command, channel: &str) -> Result<(), QueueError> {
        self.revoker.revoke(&revocation(command)).await?;
        if !command.is_answered() {
            return Ok(());
        }
        // The list of answers is in the database of the client. Ours is known once there is a connection.
        self.client.time_ms().await?;
        let db = self.client.connection().get_db();
        let of_channel = |prefix: &&str| channel == format!("{prefix}/{db}.celery.pidbox");
        let Some(prefix) = self.prefixes().find(of_channel) else { return Ok(()) };
        let Some(answer) = command.answer(&self.state(), prefix, self.clock.now()) else { return Ok(()) };
        let answering = || QueueError::redis("answer a command of a Celery client");
        let mut connection = self.client.connection();
        let is_bound: bool = redis::cmd("SISMEMBER")
            .arg(&answer.bindings)
            .arg(&answer.binding)
            .query_async(&mut connection)
            .await
            .map_err(answering())?;
        if is_bound {
            redis::pipe()
                .lpush(&answer.list, &answer.envelope)
                .ignore()
                .expire(&answer.list, i64::try_from(ANSWER_KEPT.as_secs()).unwrap_or(i64::MAX))
                .ignore()
                .query_async::<()>(&mut connection)
                .await
                .map_err(answering())?;
        }
        Ok(())
    }

    fn state(&self) -> WorkerState {
        let now = self.clock.now();
        // One whose payload was not read yet has not begun.
        let running = |entry: Entry| {
            let name = entry.signals.job.get()?.clone();
            Some(RunningTask { id: entry.id.to_string(), name, since: entry.since })
        };
        WorkerState {
            node: self.node.clone(),
            pid: std::process::id(),
            concurrency: self.concurrency,
            uptime_s: (now - self.since).num_seconds(),
            tasks: self.tasks.clone(),
            running: self.leases.held().into_iter().filter_map(running).collect(),
        }
    }
}

/// A text that stands for itself in a pattern of Redis.
fn escape(text: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
