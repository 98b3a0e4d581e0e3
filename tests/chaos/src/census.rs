//! Looks again and again whether every stored job is in exactly one collection, in one transaction a queue: so nothing is
//! seen in the middle of a script.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::event::What;
use crate::harvest::key;
use crate::server;
use crate::workload::QUEUES;
use crate::world::World;

const EVERY: Duration = Duration::from_millis(700);
/// Jobs that one census writes down; a broken promise breaks for many.
const MOST: usize = 50;

/// Takes a census until `stop`.
pub(crate) async fn run(world: Arc<World>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        for (queue, _) in QUEUES {
            // Redis may be unavailable; there is another one soon.
            let _ = take(&world, queue).await;
        }
        stop.run_until_cancelled(sleep(EVERY)).await;
    }
}

async fn take(world: &World, queue: &str) -> Result<()> {
    let mut redis = server::connect(world.port).await?;
    let (jobs, places) = places(&mut redis, queue).await?;
    let queue = queue.to_owned();
    world.ledger.write(What::Census { queue: queue.clone(), jobs: jobs.len() as u64 });
    let misplaced = jobs.into_iter().filter_map(|id| {
        let places = places.get(&id).cloned().unwrap_or_default();
        (places.len() != 1).then_some((id, places))
    });
    for (id, places) in misplaced.take(MOST) {
        let places = places.into_iter().map(str::to_owned).collect();
        world.ledger.write(What::Misplaced { queue: queue.clone(), id, places });
    }
    Ok(())
}

/// The stored jobs of a queue, and in which collections each id is.
async fn places(
    redis: &mut MultiplexedConnection,
    queue: &str,
) -> Result<(Vec<String>, HashMap<String, Vec<&'static str>>)> {
    const LISTS: [&str; 2] = ["active", "done"];
    const SORTED_SETS: [&str; 4] = ["prioritized", "scheduled", "leases", "dead"];
    let mut pipe = redis::pipe();
    pipe.atomic().hkeys(key(queue, "data")).hkeys(key(queue, "parked"));
    for list in LISTS {
        pipe.lrange(key(queue, list), 0, -1);
    }
    for set in SORTED_SETS {
        pipe.zrange(key(queue, set), 0, -1);
    }
    let mut answers: Vec<Vec<String>> = pipe.query_async(redis).await?;
    let collections = answers.split_off(1);
    let mut places: HashMap<String, Vec<&'static str>> = HashMap::new();
    for (name, ids) in ["parked"].into_iter().chain(LISTS).chain(SORTED_SETS).zip(collections) {
        for id in ids {
            let of_id = places.entry(id).or_default();
            if !of_id.contains(&name) {
                of_id.push(name);
            }
        }
    }
    Ok((answers.pop().unwrap_or_default(), places))
}
