//! Reads from Redis which schedules of a book count, or have counted, in which queue. `lua/tick.lua` writes
//! that.

use std::collections::HashMap;

use jiff::Timestamp;

use super::book::Book;
use super::file::Schedules;
use super::ticks::{Mode, Tick};
use crate::client::Client;
use crate::error::QueueError;

/// What is known of a schedule that left the file is kept so long after its last slot.
const KEEP_MS: i64 = 32 * 24 * 60 * 60 * 1000;

/// What is known of one schedule in one queue.
#[derive(Debug)]
pub(super) struct Known {
    queue: String,
    pub(super) schedule: String,
    last_slot_ms: i64,
    /// False once its leader has noted that it is not in force any more.
    counts: bool,
}

/// All that is known of a book. Read when a lead begins, which is seldom.
pub(super) async fn read(client: &Client, book: &Book) -> Result<Vec<Known>, QueueError> {
    let failed = || QueueError::redis("read which schedules count");
    let mut connection = client.connection();
    let queues: Vec<String> =
        redis::Cmd::smembers(client.global().queues).query_async(&mut connection).await.map_err(failed())?;
    let mut known = Vec::new();
    for queue in queues {
        let slots: HashMap<String, String> = redis::Cmd::hgetall(client.queue(&queue).family("slots"))
            .query_async(&mut connection)
            .await
            .map_err(failed())?;
        for (field, slot) in &slots {
            let Some(schedule) = book.schedule_of(field) else { continue };
            let definition = slots.get(&format!("{}{schedule}:definition", book.prefix()));
            known.push(Known {
                queue: queue.clone(),
                schedule: schedule.to_owned(),
                last_slot_ms: slot.parse().unwrap_or_default(),
                counts: definition.is_some_and(|definition| !definition.is_empty()),
            });
        }
    }
    Ok(known)
}

/// What has to be noted of what is known, given the schedules of the file. A schedule in another queue is
/// another one.
pub(super) fn notes(known: &[Known], schedules: &Schedules, now: Timestamp) -> Vec<Tick> {
    let in_file: HashMap<(&str, &str), bool> =
        schedules.all().map(|it| ((it.queue.as_str(), it.name.as_str()), it.enabled)).collect();
    let note = |known: &Known| {
        let mode = match in_file.get(&(known.queue.as_str(), known.schedule.as_str())) {
            Some(true) => return None,
            None if known.last_slot_ms < now.as_millisecond() - KEEP_MS => Mode::Forget,
            _ if known.counts => Mode::End,
            _ => return None,
        };
        let slot = Timestamp::from_millisecond(known.last_slot_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let (queue, schedule) = (known.queue.clone(), known.schedule.clone());
        Some(Tick { queue, schedule, slot, mode, index: None })
    };
    known.iter().filter_map(note).collect()
}
