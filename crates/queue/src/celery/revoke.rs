//! Tasks that a client revokes.
//!
//! `app.control.revoke` broadcasts a command to all workers.

use std::time::Duration;

use serde_json::Value;

use super::inspect::Command;
use super::message::{is_id, text};
use crate::client::Client;
use crate::error::QueueError;
use crate::log_limit::{Due, LogLimit};
use crate::record::Payload;
use crate::script::Step;

/// Ids in one command; the others are ignored.
const MAX_IDS: usize = 10_000;
/// Ids that are remembered, and searched for, in one round trip.
const BATCH: usize = 500;
/// How long a revocation is remembered for a task that is not here yet.
const REMEMBERED: Duration = Duration::from_hours(3);

/// What to revoke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) ids: Vec<String>,
    /// Whether those that run already are stopped too.
    pub(crate) terminate: bool,
}

/// Reads a command; nothing where it revokes nothing.
pub(crate) fn revocation(command: &Command) -> Revocation {
    let arguments = &command.arguments;
    let terminate = match command.method.as_str() {
        "revoke" => arguments["terminate"].as_bool().unwrap_or_default(),
        "terminate" => true,
        _ => return Revocation::default(),
    };
    let ids = match &arguments["task_id"] {
        Value::Array(ids) => ids.iter().take(MAX_IDS).filter_map(text).filter(|id| is_id(id)).collect(),
        id => text(id).into_iter().filter(|id| is_id(id)).collect(),
    };
    Revocation { ids, terminate }
}

/// Revokes tasks of one queue, also those that have moved to another.
pub(crate) struct Revoker {
    client: Client,
    queue: String,
    log: LogLimit,
}

impl Revoker {
    pub(crate) fn new(client: &Client, queue: &str) -> Self {
        Self { client: client.clone(), queue: queue.to_owned(), log: LogLimit::default() }
    }

    /// Cancels tasks that are here, and remembers the ids of those that are not. Durable.
    pub(crate) async fn revoke(&self, revocation: &Revocation) -> Result<(), QueueError> {
        let Some(id) = revocation.ids.first() else { return Ok(()) };
        let mut found = 0;
        for ids in revocation.ids.chunks(BATCH) {
            self.remember(ids).await?;
            for (queue, id) in self.tasks(ids).await? {
                self.cancel(&queue, id, revocation.terminate).await?;
                found += 1;
            }
        }
        if let Some(Due { count, .. }) = self.log.count("") {
            let ids = revocation.ids.len();
            tracing::info!(job.id = id, ids, found, count, "a client of Celery revoked tasks");
        }
        Ok(())
    }

    async fn remember(&self, ids: &[String]) -> Result<(), QueueError> {
        let keys = self.client.queue(&self.queue);
        let mut call = self.client.step(Step::Revoke, &keys);
        call.arg(u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX)).arg(ids);
        let remembered = call.invoke_async(&mut self.client.connection()).await;
        remembered.map_err(QueueError::redis("remember tasks that a Celery client revoked"))
    }

    async fn cancel(&self, queue: &str, id: &str, even_running: bool) -> Result<(), QueueError> {
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Cancel, &keys);
        call.arg(id).arg(u8::from(even_running));
        let state: String = call
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("revoke a task"))?;
        tracing::debug!(job.id = id, queue.name = queue, state, "a client of Celery revoked a task");
        Ok(())
    }

    /// Those of these ids that are tasks of Celery's clients, each with its queue, which may be another one than
    /// today's. A job of the same id that came another way is not theirs.
    async fn tasks<'a>(&self, ids: &'a [String]) -> Result<Vec<(String, &'a str)>, QueueError> {
        let reading = || QueueError::redis("find tasks that a Celery client revoked");
        let mut connection = self.client.connection();
        let mut queues: Vec<String> = redis::cmd("SMEMBERS")
            .arg(self.client.global().queues)
            .query_async(&mut connection)
            .await
            .map_err(reading())?;
        queues.sort_by_key(|queue| (*queue != self.queue, queue.clone()));
        let mut missing: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        for queue in queues {
            let data = self.client.queue(&queue).family("data");
            let mut exist = redis::pipe();
            for id in &missing {
                exist.hexists(&data, id);
            }
            let exist: Vec<bool> = exist.query_async(&mut connection).await.map_err(reading())?;
            let mut others = Vec::new();
            for (id, exists) in missing.into_iter().zip(exist) {
                let job: Option<Vec<u8>> = if exists {
                    redis::Cmd::hget(&data, id).query_async(&mut connection).await.map_err(reading())?
                } else {
                    None
                };
                let origin = job.and_then(|job| Payload::parse(&job).ok()?.options.celery);
                if origin.is_some_and(|origin| origin.id == id) {
                    found.push((queue.clone(), id));
                } else {
                    others.push(id);
                }
            }
            missing = others;
            if missing.is_empty() {
                break;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command(method: &str, arguments: &Value) -> Command {
        Command { method: method.to_owned(), arguments: arguments.clone(), ..Command::default() }
    }

    #[test]
    fn one_task_or_many_are_revoked() {
        let of = |ids: &[&str], terminate| Revocation {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            terminate,
        };
        for (method, arguments, expected) in [
            ("revoke", json!({"task_id": "1", "terminate": false, "signal": "SIGTERM"}), of(&["1"], false)),
            (
                "revoke",
                json!({"task_id": ["1", "2"], "terminate": true, "signal": "SIGKILL"}),
                of(&["1", "2"], true),
            ),
            ("revoke", json!({"task_id": "1", "terminate": true, "signal": null}), of(&["1"], true)),
            ("terminate", json!({"signal": "SIGTERM", "task_id": ["1"]}), of(&["1"], true)),
            ("revoke", json!({"task_id": ["1", "", {}, "x".repeat(201)]}), of(&["1"], false)),
        ] {
            assert_eq!(revocation(&command(method, &arguments)), expected);
        }
    }

    #[test]
    fn everything_else_revokes_nothing() {
        for other in [
            command("ping", &json!({})),
            command("shutdown", &json!({})),
            command("revoke", &json!({})),
            command("revoke", &Value::Null),
            command("revoke_by_stamped_headers", &json!({"headers": {"a": ["b"]}, "terminate": false})),
        ] {
            assert_eq!(revocation(&other), Revocation::default(), "{other:?}");
        }
    }
}
