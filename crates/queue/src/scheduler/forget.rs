//! Forgets the last slots of schedules that left the file long ago, so that a file whose names change does not fill Redis.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::file::Schedules;
use crate::client::Client;
use crate::error::QueueError;

/// A schedule that comes back sooner goes on after its last slot.
const KEEP_MS: i64 = 32 * 24 * 60 * 60 * 1000;
/// What a name has in the hash.
const FIELDS: [&str; 5] = ["slot", "definition", "job", "enqueued", "skipped"];

/// Called when a lead begins, which is seldom. Not one step with what it decides by: a schedule that comes back in this
/// very moment begins to count anew.
pub(super) async fn forget(client: &Client, schedules: &Schedules, now: Timestamp) -> Result<(), QueueError> {
    let failed = || QueueError::redis("forget schedules that are gone");
    let mut connection = client.connection();
    let in_force: HashSet<&str> = schedules.all().map(|schedule| schedule.name.as_str()).collect();
    let queues: Vec<String> =
        redis::Cmd::smembers(client.global().queues).query_async(&mut connection).await.map_err(failed())?;
    for queue in queues {
        let key = client.queue(&queue).family("slots");
        let slots: BTreeMap<String, String> =
            redis::Cmd::hgetall(&key).query_async(&mut connection).await.map_err(failed())?;
        let gone = slots.iter().filter_map(|(field, value)| {
            let name = field.strip_suffix(":slot")?;
            let last_ms: i64 = value.parse().ok()?;
            (!in_force.contains(name) && last_ms < now.as_millisecond() - KEEP_MS).then_some(name)
        });
        let fields: Vec<String> =
            gone.flat_map(|name| FIELDS.map(|field| format!("{name}:{field}"))).collect();
        for group in fields.chunks(300) {
            let mut hdel = redis::cmd("HDEL");
            hdel.arg(&key).arg(group).query_async::<()>(&mut connection).await.map_err(failed())?;
        }
    }
    Ok(())
}
