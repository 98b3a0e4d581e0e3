//! Reads from Redis what became of the jobs, while the run goes on: ended jobs are kept for a while only. And how much
//! memory everything uses.
//!
//! It reads the keys themselves, which `lua/lib.lua` of the queue describes, and not through the queue's own code.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::checker::REDIS;
use crate::entrance::CELERY_LIST;
use crate::event::{What, has_ended};
use crate::ledger::{Ledger, monotonic_us};
use crate::process::NAMESPACE;
use crate::server;
use crate::workload::QUEUES;
use crate::world::World;

const EVERY: Duration = Duration::from_millis(500);
/// Ended jobs looked at in one turn; twice as many as end in the longest outage.
const TAIL: isize = 3000;
/// Jobs read in one round trip.
const GROUP: usize = 200;
const PROBE: Duration = Duration::from_millis(100);
/// A slower answer is a standstill of Redis.
const SLOW_US: u64 = 300_000;

/// What was read already.
pub(crate) struct Harvest {
    world: Arc<World>,
    /// How often each id was seen among the ended: a job that ends again is there again.
    ended: HashMap<String, usize>,
}

impl Harvest {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, ended: HashMap::new() }
    }

    /// Reads until `stop`, whatever becomes of Redis.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Self {
        while !stop.is_cancelled() {
            // Redis may be away; what was missed is read in the next turn.
            let _ = self.turn().await;
            stop.run_until_cancelled(sleep(EVERY)).await;
        }
        self
    }

    async fn turn(&mut self) -> Result<()> {
        let mut redis = server::connect(self.world.port).await?;
        for (queue, _) in QUEUES {
            let (done, dead): (Vec<String>, Vec<(String, String)>) = redis::pipe()
                .lrange(key(queue, "done"), -TAIL, -1)
                .zrange_withscores(key(queue, "dead"), -TAIL, -1)
                .query_async(&mut redis)
                .await?;
            // One that died again has another time there.
            let dead = dead.into_iter().map(|(id, at)| (format!("{id}@{at}"), id));
            let mut times: HashMap<String, (usize, String)> = HashMap::new();
            for (entry, id) in done.into_iter().map(|id| (id.clone(), id)).chain(dead) {
                times.entry(entry).or_insert((0, id)).0 += 1;
            }
            let new: Vec<_> = times
                .into_iter()
                .filter(|(entry, (n, _))| self.ended.get(entry).is_none_or(|seen| seen < n))
                .collect();
            let ids: Vec<&str> = new.iter().map(|(_, (_, id))| id.as_str()).collect();
            read(&mut redis, queue, &ids, &self.world.ledger).await?;
            self.ended.extend(new.into_iter().map(|(entry, (n, _))| (entry, n)));
        }
        Ok(())
    }

    /// Reads the jobs that are left: those that have ended since, and those that have not ended at all.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.turn().await?;
        let mut redis = server::connect(self.world.port).await?;
        for (queue, _) in QUEUES {
            let ids: HashSet<String> =
                redis::cmd("HKEYS").arg(key(queue, "data")).query_async(&mut redis).await?;
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            read(&mut redis, queue, &ids, &self.world.ledger).await?;
        }
        Ok(())
    }
}

/// Writes down how jobs stand.
async fn read(redis: &mut MultiplexedConnection, queue: &str, ids: &[&str], ledger: &Ledger) -> Result<()> {
    for group in ids.chunks(GROUP) {
        let (data, runs): (Vec<Option<Vec<u8>>>, Vec<Option<String>>) = redis::pipe()
            .cmd("HMGET")
            .arg(key(queue, "data"))
            .arg(group)
            .cmd("HMGET")
            .arg(key(queue, "run"))
            .arg(group)
            .query_async(redis)
            .await?;
        for ((id, data), run) in group.iter().zip(data).zip(runs) {
            // Neither: it is forgotten already, which is long after it was read first.
            if data.is_some() || run.is_some() {
                ledger.write(found(
                    id,
                    data.as_deref().unwrap_or_default(),
                    run.as_deref().unwrap_or_default(),
                ));
            }
        }
    }
    Ok(())
}

/// Of a job's document and its record: state, attempts, token, worker, started, finished, due, result.
fn found(id: &str, data: &[u8], run: &str) -> What {
    let fields: Vec<&str> = run.split('\t').collect();
    let field = |n: usize| fields.get(n).copied().unwrap_or_default();
    let job: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
    let state = if field(0).is_empty() { "ready" } else { field(0) };
    What::Final {
        id: id.to_owned(),
        state: state.to_owned(),
        attempts: field(1).parse().unwrap_or_default(),
        finished_ms: if has_ended(state) { field(5).parse().ok() } else { None },
        schedule: job["schedule"].as_str().map(str::to_owned),
        slot_ms: job["slot_ms"].as_i64(),
    }
}

/// A key of a queue.
pub(crate) fn key(queue: &str, family: &str) -> String {
    format!("{NAMESPACE}:{{{queue}}}:{family}")
}

/// How many jobs have not ended.
pub(crate) async fn unfinished(port: u16) -> Result<u64> {
    let mut redis = server::connect(port).await?;
    let mut sum: u64 = redis::cmd("LLEN").arg(CELERY_LIST).query_async(&mut redis).await?;
    for (queue, _) in QUEUES {
        let (stored, done, dead): (u64, u64, u64) = redis::pipe()
            .hlen(key(queue, "data"))
            .llen(key(queue, "done"))
            .zcard(key(queue, "dead"))
            .query_async(&mut redis)
            .await?;
        // Also what is in no collection.
        sum += stored.saturating_sub(done + dead);
        let (active, prioritized, scheduled, leases, parked): (Vec<String>, u64, u64, u64, u64) =
            redis::pipe()
                .lrange(key(queue, "active"), 0, -1)
                .zcard(key(queue, "prioritized"))
                .zcard(key(queue, "scheduled"))
                .zcard(key(queue, "leases"))
                .hlen(key(queue, "parked"))
                .query_async(&mut redis)
                .await?;
        // An empty id wakes a worker and is no job.
        sum += active.iter().filter(|id| !id.is_empty()).count() as u64;
        sum += prioritized + scheduled + leases + parked;
    }
    Ok(sum)
}

/// Writes down how much memory is used, until `stop`.
pub(crate) async fn weigh(world: Arc<World>, stop: CancellationToken) -> Result<()> {
    let mut system = System::new()?;
    while !stop.is_cancelled() {
        for (name, pid) in world.fleet.running() {
            let pid = Pid::from_u32(pid);
            let kind = ProcessRefreshKind::nothing().with_memory();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
            if let Some(process) = system.process(pid) {
                world.ledger.write(What::Memory { of: name, bytes: process.memory() });
            }
        }
        // Away: the next time tells.
        if let Ok(bytes) = memory_of_redis(world.port).await {
            world.ledger.write(What::Memory { of: REDIS.to_owned(), bytes });
        }
        stop.run_until_cancelled(sleep(Duration::from_secs(1))).await;
    }
    Ok(())
}

async fn memory_of_redis(port: u16) -> Result<u64> {
    let mut redis = server::connect(port).await?;
    let info: String = redis::cmd("INFO").arg("memory").query_async(&mut redis).await?;
    let bytes = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap_or_default();
    Ok(bytes.trim().parse()?)
}

/// Writes down when Redis did not answer for a while, whyever, until `stop`.
pub(crate) async fn probe(world: Arc<World>, stop: CancellationToken) -> Result<()> {
    let ledger = Ledger::open(&world.folder, &format!("{REDIS}.1"))?;
    while !stop.is_cancelled() {
        if let Ok(mut redis) = server::connect(world.port).await {
            loop {
                let began = monotonic_us();
                let answer = redis::cmd("PING").query_async::<String>(&mut redis).await;
                let us = monotonic_us() - began;
                if us > SLOW_US {
                    ledger.write(What::Stalled { us });
                }
                if answer.is_err() || stop.is_cancelled() {
                    break;
                }
                sleep(PROBE).await;
            }
        }
        sleep(PROBE).await;
    }
    Ok(())
}

/// Waits until all jobs have ended. `None`: they have; else how many have not.
pub(crate) async fn drain(port: u16, limit: Duration) -> Option<u64> {
    let began = Instant::now();
    loop {
        let left = unfinished(port).await.unwrap_or(u64::MAX);
        if left == 0 || began.elapsed() > limit {
            return (left > 0).then_some(left);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_from_its_document_and_its_record() {
        let data = br#"{"job":"act","args":{},"schedule":"each","slot_ms":1793491205000}"#;
        let expected = What::Final {
            id: "7".to_owned(),
            state: "dead".to_owned(),
            attempts: 3,
            finished_ms: Some(12),
            schedule: Some("each".to_owned()),
            slot_ms: Some(1_793_491_205_000),
        };
        assert_eq!(found("7", data, "dead\t3\ttoken\tworker\t10\t12\t\t"), expected);
        // One that was never claimed.
        let What::Final { state, attempts: 0, finished_ms: None, .. } = found("8", b"{", "") else {
            panic!()
        };
        assert_eq!(state, "ready");
    }
}
