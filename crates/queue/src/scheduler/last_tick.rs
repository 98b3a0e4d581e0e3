//! What became of the last tick of each schedule, as `lua/tick.lua` has noted it: for people who ask why a job did not run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::book::Book;
use crate::client::Client;
use crate::error::QueueError;

/// The last tick of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastTick {
    /// When it was due.
    pub at: DateTime<Utc>,
    /// What became of it.
    pub outcome: TickOutcome,
    /// The job of the last tick that was enqueued. It may be forgotten by now.
    pub job_id: Option<String>,
    /// The queue that its jobs go to.
    pub queue: String,
    /// Why nothing was enqueued; absent otherwise.
    pub reason: Option<Cow<'static, str>>,
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TickOutcome {
    /// Its job was enqueued.
    Enqueued,
    /// It was passed over.
    Skipped,
}

const OVERLAPPING: &str = "its previous run had not ended";

/// The last tick of each schedule of a book that has had one in a queue.
pub(crate) async fn last_ticks(
    client: &Client,
    book: &Book,
    queue: &str,
) -> Result<BTreeMap<String, LastTick>, QueueError> {
    let slots: BTreeMap<String, String> = redis::cmd("HGETALL")
        .arg(client.queue(queue).family("slots"))
        .query_async(&mut client.connection())
        .await
        .map_err(QueueError::redis("read what was scheduled last"))?;
    let prefix = book.prefix();
    let time = |name: &str, field: &str| {
        let ms = slots.get(&format!("{prefix}{name}:{field}"))?.parse().ok()?;
        DateTime::from_timestamp_millis(ms)
    };
    let tick = |name: &str| {
        let (enqueued, skipped) = (time(name, "enqueued"), time(name, "skipped"));
        let is_skipped = skipped > enqueued;
        Some(LastTick {
            at: enqueued.max(skipped)?,
            outcome: if is_skipped { TickOutcome::Skipped } else { TickOutcome::Enqueued },
            job_id: slots.get(&format!("{prefix}{name}:job")).cloned(),
            queue: queue.to_owned(),
            reason: is_skipped.then_some(Cow::Borrowed(OVERLAPPING)),
        })
    };
    let names = slots.keys().filter_map(|field| book.schedule_of(field));
    Ok(names.filter_map(|name| Some((name.to_owned(), tick(name)?))).collect())
}
