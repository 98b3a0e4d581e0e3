//! Our scheduler: how late ticks are, of many schedules due in the same second and of one alone.

use std::collections::HashMap;
use std::time::Duration;

use dogwatch_queue::scheduler::Book;
use dogwatch_queue::{Client, Job, JobError, Registry, Retry, Run, Scheduler, secs};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "bench-schedules";

#[derive(Serialize, Deserialize)]
struct Tick {}

impl Job for Tick {
    const NAME: &'static str = "tick";
    const RETRY: Retry = Retry::none();
    const TIMEOUT: Duration = secs(1);
    type Context = ();
    type Outcome = ();
    async fn run(self, _: &Run<()>) -> Result<(), JobError> {
        Ok(())
    }
}

/// `role` is the interval, such as 10s; `count` the number of schedules. Watches the list of ready jobs from outside,
/// since only that shows when a tick can be taken.
pub async fn child(role: &str, url: &str, count: usize, rounds: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("schedules.toml");
    let one = |n| format!("[schedules.s{n}]\njob = \"tick\"\nevery = \"{role}\"\noverlap = \"allow\"\n");
    std::fs::write(&path, (0..count).map(one).collect::<String>())?;
    let client = Client::open(url, NAMESPACE)?;
    let scheduler = Scheduler::new(client, Book::default(), Registry::new().with::<Tick>().catalog(), path)?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(scheduler.run(stop.clone()));
    let mut redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let active = format!("{NAMESPACE}:{{default}}:active");
    let mut latest: HashMap<i64, (usize, f64)> = HashMap::new();
    let mut seen = 0;
    while latest.values().filter(|(ticks, _)| *ticks >= count).count() <= rounds {
        let ids: Vec<String> =
            redis::cmd("LRANGE").arg(&active).arg(seen).arg(-1).query_async(&mut redis).await?;
        if ids.is_empty() {
            tokio::time::sleep(Duration::from_micros(200)).await;
            continue;
        }
        let (s, us): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await?;
        seen += ids.len();
        let jobs: Vec<String> = redis::cmd("HMGET")
            .arg(format!("{NAMESPACE}:{{default}}:data"))
            .arg(&ids)
            .query_async(&mut redis)
            .await?;
        for job in jobs {
            let slot = serde_json::from_str::<Value>(&job)?["slot_ms"].as_i64().unwrap_or_default();
            let entry = latest.entry(slot).or_default();
            *entry = (entry.0 + 1, (s * 1000 - slot) as f64 + us as f64 / 1000.0);
        }
    }
    stop.cancel();
    task.await?;
    let first = latest.keys().min().copied();
    let mut late: Vec<f64> =
        latest.iter().filter(|(slot, _)| Some(**slot) != first).map(|(_, (_, late))| *late).collect();
    late.sort_by(f64::total_cmp);
    let p99 = late.get((late.len() as f64 * 0.99) as usize).or(late.last());
    println!("{}", json!({"late_ms": p99, "median_late_ms": late.get(late.len() / 2)}));
    Ok(())
}
