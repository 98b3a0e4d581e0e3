//! Dogwatch, with leases, acknowledgements, retries and history fully on.

use std::time::{Duration, Instant};

use dogwatch_queue::{
    Client, Job, JobError, NewJob, Producer, Registry, Retry, Run, Settings, Stop, Worker, mins, secs,
};
use serde::{Deserialize, Serialize};

use crate::meter::{self, Payload};

/// Jobs that a worker runs at the same time.
const CONCURRENCY: usize = 256;
const NAMESPACE: &str = "bench";

#[derive(Serialize, Deserialize)]
struct Noop(Payload);

impl Job for Noop {
    const NAME: &'static str = "noop";
    const RETRY: Retry = Retry::exponential(5, secs(10), mins(10));
    const TIMEOUT: Duration = mins(1);
    type Context = ();
    type Outcome = ();
    async fn run(self, _: &Run<()>) -> Result<(), JobError> {
        meter::job(&self.0);
        Ok(())
    }
}

/// Holds its slot for a while, for a worker that is killed in the middle.
#[derive(Serialize, Deserialize)]
struct Hold {
    sent_us: u64,
}

impl Job for Hold {
    const NAME: &'static str = "hold";
    const RETRY: Retry = Retry::exponential(5, secs(10), mins(10));
    const TIMEOUT: Duration = mins(5);
    type Context = ();
    type Outcome = ();
    async fn run(self, cx: &Run<()>) -> Result<(), JobError> {
        if cx.attempt() == 1 {
            tokio::time::sleep(mins(4)).await;
        }
        meter::job(&Payload::new(self.sent_us));
        Ok(())
    }
}

fn registry() -> Registry<()> {
    Registry::new().with::<Noop>().with::<Hold>()
}

fn job(sent_us: u64) -> NewJob {
    NewJob::new("noop", serde_json::json!(Payload::new(sent_us)))
}

pub fn settings() -> anyhow::Result<Settings> {
    let table: toml::Table = toml::from_str(include_str!("../../../dogwatch.toml"))?;
    Ok(Settings {
        namespace: NAMESPACE.to_owned(),
        concurrency: CONCURRENCY,
        ..table["queue"].clone().try_into()?
    })
}

pub async fn child(role: &str, url: &str, count: usize) -> anyhow::Result<()> {
    let client = Client::open(url, NAMESPACE)?;
    let producer = Producer::new(client.clone(), registry().catalog());
    let began = Instant::now();
    match role {
        "one" => {
            for _ in 0..count {
                producer.enqueue(job(0)).await?;
            }
            meter::rate(count, began);
        }
        "bulk" => {
            let jobs = (0..count).map(|_| job(0)).collect();
            producer.enqueue_all(jobs).await.map_err(|(_, error)| error)?;
            meter::rate(count, began);
        }
        "pace" => {
            for _ in 0..count {
                producer.enqueue(job(meter::now_us())).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        "hold" => {
            for _ in 0..count {
                let args = serde_json::json!({"sent_us": meter::now_us()});
                producer.enqueue(NewJob::new("hold", args)).await?;
            }
        }
        "short-lease" => return work(client, Settings { lease: secs(2), ..settings()? }, count).await,
        _ => return work(client, settings()?, count).await,
    }
    Ok(())
}

async fn work(client: Client, settings: Settings, count: usize) -> anyhow::Result<()> {
    meter::expect(count);
    Worker::new(client, registry(), (), settings, "bench").run(Stop::default()).await;
    Ok(())
}
