//! scratch
#![allow(missing_docs, clippy::unwrap_used)]
use dogwatch_queue::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;
#[derive(Serialize, Deserialize)]
struct Noop {}
impl Job for Noop {
    const NAME: &'static str = "noop";
    const RETRY: Retry = Retry::none();
    const TIMEOUT: Duration = secs(30);
    type Context = ();
    type Outcome = ();
    async fn run(self, _: &Run<()>) -> Result<(), JobError> {
        Ok(())
    }
}
#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let n: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let ns = format!("sched{:x}", std::process::id());
    let client = Client::open(&url, &ns).unwrap();
    let catalog = Registry::<()>::new().with::<Noop>().catalog();
    let mut text = String::new();
    for i in 0..n {
        text += &format!("[schedules.s{i}]\njob = \"noop\"\nevery = \"10s\"\noverlap = \"allow\"\n");
    }
    let path = std::env::temp_dir().join(format!("{ns}.toml"));
    std::fs::write(&path, text).unwrap();
    let t = std::time::Instant::now();
    let scheduler = Scheduler::new(client.clone(), catalog, path).unwrap();
    println!("load {:?}", t.elapsed());
    let stop = tokio_util::sync::CancellationToken::new();
    let task = tokio::spawn(scheduler.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(35)).await;
    stop.cancel();
    task.await.unwrap();
    let c = redis::Client::open(url.as_str()).unwrap();
    let mut m = c.get_multiplexed_async_connection().await.unwrap();
    let all: Vec<(String, String)> = redis::cmd("HGETALL")
        .arg(format!("{ns}:{{default}}:data"))
        .query_async::<std::collections::HashMap<String, String>>(&mut m)
        .await
        .unwrap()
        .into_iter()
        .collect();
    let mut late: std::collections::BTreeMap<i64, Vec<i64>> = Default::default();
    for (_, d) in &all {
        let v: serde_json::Value = serde_json::from_str(d).unwrap();
        late.entry(v["slot_ms"].as_i64().unwrap())
            .or_default()
            .push(v["enqueued_at"].as_i64().unwrap() - v["slot_ms"].as_i64().unwrap());
    }
    for (slot, l) in late {
        println!(
            "slot {slot}: {} late min {} max {}",
            l.len(),
            l.iter().min().unwrap(),
            l.iter().max().unwrap()
        );
    }
}
