//! Which scheduler of a book leads: a lease in Redis with an epoch that grows at each change.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use super::book::Book;
use crate::client::Client;
use crate::error::QueueError;
use crate::script::Step;

/// How long a leader that gives no sign of life stays the leader. With the turn of half a second of those that wait,
/// a failover takes less than 4 s.
const LEASE: Duration = Duration::from_secs(3);

/// This scheduler's part in the election.
#[derive(Debug)]
pub(crate) struct Leadership {
    client: Client,
    book: Book,
    identity: String,
    leads: bool,
}

/// A confirmed lead.
#[derive(Debug)]
pub(crate) struct Lead {
    /// Fences the ticks.
    pub(crate) epoch: u64,
    redis_ms: i64,
    asked: Instant,
}

impl Lead {
    /// Redis's time, carried on by the monotonic clock.
    pub(crate) fn now(&self) -> Timestamp {
        let since = i64::try_from(self.asked.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(self.redis_ms.saturating_add(since)).unwrap_or(Timestamp::MAX)
    }
}

impl Leadership {
    pub(crate) fn new(client: Client, book: Book) -> Self {
        Self { client, book, identity: Uuid::now_v7().to_string(), leads: false }
    }

    /// Takes or renews the lead; `None` while another has it.
    pub(crate) async fn confirm(&mut self) -> Result<Option<Lead>, QueueError> {
        let keys = self.client.book(&self.book);
        let answer: Result<(u64, i64), _> = self
            .client
            .plain_step(Step::Elect)
            .key(keys.leader)
            .key(keys.epoch)
            .arg(&self.identity)
            .arg(u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX))
            .invoke_async(&mut self.client.connection())
            .await;
        // Measured after the answer: the time told is never ahead of Redis's.
        let asked = Instant::now();
        let (epoch, redis_ms) = answer.map_err(QueueError::redis("ask who leads the schedulers"))?;
        let leads = epoch > 0;
        if leads != self.leads {
            self.leads = leads;
            let book = self.book.name();
            tracing::info!(epoch, book, "this scheduler {}", if leads { "leads" } else { "stands by" });
        }
        Ok(leads.then_some(Lead { epoch, redis_ms, asked }))
    }

    /// Gives the lead up, so that another takes over at once. Best effort: the lease ends anyway.
    pub(crate) async fn resign(&mut self) {
        if std::mem::take(&mut self.leads) {
            let mut call = self.client.plain_step(Step::Resign);
            call.key(self.client.book(&self.book).leader).arg(&self.identity);
            let _: Result<i64, _> = call.invoke_async(&mut self.client.connection()).await;
        }
    }
}
