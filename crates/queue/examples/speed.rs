//! scratch
#![allow(missing_docs, clippy::unwrap_used)]
use dogwatch_queue::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
struct Noop {
    user_id: u64,
    email: String,
}
impl Job for Noop {
    const NAME: &'static str = "noop";
    const RETRY: Retry = Retry::exponential(5, secs(1), secs(60));
    const TIMEOUT: Duration = secs(30);
    type Context = AtomicU64;
    type Outcome = ();
    async fn run(self, cx: &Run<AtomicU64>) -> Result<(), JobError> {
        let _ = (self.user_id, self.email.len());
        cx.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
fn job() -> NewJob {
    NewJob::new("noop", json!({"user_id": 42, "email": "someone@example.com"}))
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let url = &args[1];
    let n: usize = args.get(3).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let client = Client::open(url, "speed").unwrap();
    let registry = || Registry::<AtomicU64>::new().with::<Noop>();
    let producer = Producer::new(client.clone(), registry().catalog());
    match args[2].as_str() {
        "one" => {
            let t = Instant::now();
            for _ in 0..n {
                producer.enqueue(job()).await.unwrap();
            }
            println!("one by one {:.0}/s", n as f64 / t.elapsed().as_secs_f64());
        }
        "bulk" => {
            let t = Instant::now();
            producer.enqueue_all((0..n).map(|_| job()).collect()).await.unwrap();
            println!("bulk {:.0}/s", n as f64 / t.elapsed().as_secs_f64());
        }
        "run" => {
            let mut settings: Settings = {
                let text = std::fs::read_to_string("dogwatch.toml").unwrap();
                let table: toml::Table = toml::from_str(&text).unwrap();
                table["queue"].clone().try_into().unwrap()
            };
            settings.namespace = "speed".into();
            settings.concurrency = args.get(4).and_then(|n| n.parse().ok()).unwrap_or(64);
            let inspector = Inspector::new(client.clone());
            let stop = Stop::default();
            let worker = Worker::new(client, registry(), AtomicU64::new(0), settings, "speed");
            let t = Instant::now();
            let task = tokio::spawn(worker.run(stop.clone()));
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let c = inspector.counts().await.unwrap();
                if c[0].ready + c[0].running == 0 {
                    break;
                }
            }
            println!("run {:.0}/s", n as f64 / t.elapsed().as_secs_f64());
            stop.drain.cancel();
            task.await.unwrap();
        }
        _ => {
            let _: Arc<()> = Arc::new(());
        }
    }
}
