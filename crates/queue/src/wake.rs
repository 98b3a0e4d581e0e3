//! Wakes an idle worker the moment a job is ready.
//!
//! `BLMOVE active active LEFT LEFT` blocks until the list has an element and puts it back where it was. So whoever
//! pushes an id, in whatever language, wakes the worker at once, and no wake-up can be missed: the state is the signal.
//! Each queue has a task with a connection of its own, which blocks only while the worker is idle; the worker's own
//! poll stays, so that a broken connection here costs time and nothing else.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::link::Connection;

/// The tasks that wait, one a queue. They end when this is dropped.
pub(crate) struct Watchers {
    armed: Vec<Arc<Notify>>,
    woken: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Watchers {
    pub(crate) fn start(client: &Client, queues: impl Iterator<Item = Arc<str>>, poll: Duration) -> Self {
        let (mut tasks, mut armed) = (JoinSet::new(), Vec::new());
        let woken = Arc::new(Notify::new());
        for queue in queues {
            let arm = Arc::new(Notify::new());
            armed.push(arm.clone());
            let list = client.queue(&queue).family("active");
            tasks.spawn(watch(client.clone(), list, "LEFT", poll, arm, woken.clone()));
        }
        Self { armed, woken, _tasks: tasks }
    }

    /// Waits until one of these queues has a job, but not longer than `limit`.
    pub(crate) async fn wait(&self, queues: &[usize], limit: Duration) {
        for index in queues {
            self.armed[*index].notify_one();
        }
        let _ = tokio::time::timeout(limit.max(Duration::from_millis(1)), self.woken.notified()).await;
    }
}

/// Waits at one end of a list each time it is armed, and wakes its owner when the list has an element.
pub(crate) async fn watch(
    client: Client,
    list: String,
    end: &'static str,
    poll: Duration,
    armed: Arc<Notify>,
    woken: Arc<Notify>,
) {
    let mut connection = None;
    loop {
        armed.notified().await;
        match block(&client, &mut connection, &list, end, poll).await {
            Ok(true) => woken.notify_one(),
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "cannot wait for jobs; polling instead");
                connection = None;
            }
        }
    }
}

async fn block(
    client: &Client,
    connection: &mut Option<Connection>,
    list: &str,
    end: &str,
    limit: Duration,
) -> RedisResult<bool> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(client.blocking(limit).await?),
    };
    // Zero would block for ever.
    let seconds = limit.max(Duration::from_millis(1)).as_secs_f64();
    let mut wait = redis::cmd("BLMOVE");
    wait.arg(list).arg(list).arg(end).arg(end).arg(seconds);
    Ok(wait.query_async::<Option<Vec<u8>>>(connection).await?.is_some())
}
