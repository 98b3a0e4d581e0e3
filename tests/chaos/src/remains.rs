//! What is left in Redis when all jobs have ended and the old ones were removed: every key of every family, also of
//! families that nobody here knows, which then may have no entry at all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::event::What;
use crate::process::{KEEP_LITTLE, NAMESPACE};
use crate::server;
use crate::workload::QUEUES;
use crate::world::World;

/// Keys of which there is one for each of something: counted by their number.
const BY_KEY: [&str; 8] =
    ["meta", "unique", "holders", "waiters", "rate", "claim", "stats", "{workers}:seen"];
/// Workers that were there shortly before the end, all starts counted.
const WORKERS_SEEN: u64 = 12;

/// Names of jobs that succeed here.
const JOB_NAMES: u64 = 5;

/// Counters of what happens to messages of Celery.
const CELERY_EVENTS: u64 = 10;

/// Outcomes, and buckets of run times from microseconds to years.
const FIGURES_OF_A_JOB: u64 = 260;

/// How many entries a family may have.
fn most(family: &str, minutes: u64) -> u64 {
    let kept = u64::from(KEEP_LITTLE.count);
    match family {
        "done" | "dead" => kept,
        "data" | "run" | "errors" | "progress" | "cancel" => 2 * kept,
        // A counter, and whether it is paused.
        "control" => 2,
        "slots" => World::slot_fields(),
        "last_success" => JOB_NAMES,
        // What may happen to a message.
        "celery" => CELERY_EVENTS,
        "stats" => minutes + 2,
        "totals" => JOB_NAMES * FIGURES_OF_A_JOB,
        // And the idle one.
        "queues" => QUEUES.len() as u64 + 1,
        // One worker at a time reconciles a queue; one database has an outbox; two books have schedulers.
        "reconciler"
        | "{idle}:reconciler"
        | "relayed"
        | "{scheduler}:leader"
        | "{scheduler}:epoch"
        | "{scheduler}:other:leader"
        | "{scheduler}:other:epoch" => 1,
        "{workers}:seen" => WORKERS_SEEN,
        _ => 0,
    }
}

/// A key's queue and family: `chaos:{bulk}:unique:7` is of `bulk` and `unique`.
fn family_of(key: &str) -> (&str, &str) {
    let Some(rest) = key.strip_prefix(NAMESPACE).and_then(|rest| rest.strip_prefix(':')) else {
        return ("", key);
    };
    let of_queue = QUEUES.into_iter().find_map(|(queue, _)| {
        let rest = rest.strip_prefix('{')?.strip_prefix(queue)?.strip_prefix("}:")?;
        Some((queue, rest))
    });
    let (queue, rest) = of_queue.unwrap_or(("", rest));
    let family =
        BY_KEY.into_iter().find(|family| rest.strip_prefix(family).is_some_and(|more| more.starts_with(':')));
    (queue, family.unwrap_or(rest))
}

/// The size of each family, by queue and name.
async fn sizes(redis: &mut MultiplexedConnection) -> Result<BTreeMap<(String, String), u64>> {
    let mut sizes = BTreeMap::new();
    let keys: Vec<String> = redis.keys("*").await?;
    for key in keys {
        let (queue, family) = family_of(&key);
        let by_key = BY_KEY.contains(&family) && !key.ends_with(family);
        let size = if by_key { 1 } else { size(redis, &key).await? };
        *sizes.entry((queue.to_owned(), family.to_owned())).or_default() += size;
    }
    Ok(sizes)
}

async fn size(redis: &mut MultiplexedConnection, key: &str) -> Result<u64> {
    let kind: String = redis::cmd("TYPE").arg(key).query_async(redis).await?;
    Ok(match kind.as_str() {
        // An empty id wakes a worker and is no job.
        "list" => {
            redis.lrange::<_, Vec<String>>(key, 0, -1).await?.iter().filter(|id| !id.is_empty()).count()
                as u64
        }
        "hash" => redis.hlen(key).await?,
        "set" => redis.scard(key).await?,
        "zset" => redis.zcard(key).await?,
        _ => 1,
    })
}

/// Waits until no family has more than it may, at most for so long, and writes down what there is then.
pub(crate) async fn look(world: &World, ran: Duration, limit: Duration) -> Result<()> {
    let began = Instant::now();
    let minutes = ran.as_secs() / 60;
    loop {
        let mut redis = server::connect(world.port).await?;
        let sizes = sizes(&mut redis).await?;
        let too_many = sizes.iter().any(|((_, family), size)| *size > most(family, minutes));
        if !too_many || began.elapsed() > limit {
            for ((queue, family), size) in sizes {
                let name = if queue.is_empty() { family.clone() } else { format!("{queue}:{family}") };
                world.ledger.write(What::Family { name, size, most: most(&family, minutes) });
            }
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_belongs_to_a_family() {
        for (key, family) in [
            ("chaos:{bulk}:unique:key-7", ("bulk", "unique")),
            ("chaos:{default}:stats:29000", ("default", "stats")),
            ("chaos:{default}:done", ("default", "done")),
            ("chaos:{workers}:seen", ("", "{workers}:seen")),
            ("chaos:{workers}:seen:chaos-7", ("", "{workers}:seen")),
            ("chaos:queues", ("", "queues")),
            ("core::apalis:queues", ("", "core::apalis:queues")),
        ] {
            assert_eq!(family_of(key), family);
        }
    }
}
