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
use crate::target::Connection;

/// The tasks that wait, one a list. They end when this is dropped.
pub(crate) struct Watchers {
    armed: Vec<Arc<Notify>>,
    woken: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Watchers {
    /// One for each list; `end` is `LEFT` or `RIGHT`, where jobs are taken from.
    pub(crate) fn start(
        client: &Client,
        lists: impl Iterator<Item = String>,
        end: &'static str,
        poll: Duration,
    ) -> Self {
        let (mut tasks, mut armed) = (JoinSet::new(), Vec::new());
        let woken = Arc::new(Notify::new());
        for list in lists {
            let arm = Arc::new(Notify::new());
            armed.push(arm.clone());
            tasks.spawn(watch(client.clone(), list, end, poll, arm, woken.clone()));
        }
        Self { armed, woken, _tasks: tasks }
    }

    /// Waits until one of these lists has an element, but not longer than `limit`.
    pub(crate) async fn wait(&self, lists: &[usize], limit: Duration) {
        for index in lists {
            self.armed[*index].notify_one();
        }
        let _ = tokio::time::timeout(limit.max(Duration::from_millis(1)), self.woken.notified()).await;
    }
}

/// Waits at one end of a list each time it is armed, and wakes its owner when the list has an element.
async fn watch(
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
