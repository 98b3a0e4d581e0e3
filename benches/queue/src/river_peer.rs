//! River for Rust, on Postgres.

use std::time::{Duration, Instant};

use riverqueue::migrate::PostgresMigrator;
use riverqueue::sqlx::postgres::PgPoolOptions;
use riverqueue::{BoxError, Client, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome, Workers};
use serde::{Deserialize, Serialize};

use crate::meter::{self, Payload};

const CONCURRENCY: usize = 1000;

#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "noop")]
struct Noop {
    #[serde(flatten)]
    payload: Payload,
}

async fn noop(_: WorkContext, job: Job<Noop>) -> Result<WorkOutcome, BoxError> {
    meter::job(&job.args.payload);
    Ok(WorkOutcome::Complete)
}

fn job(sent_us: u64) -> Noop {
    Noop { payload: Payload::new(sent_us) }
}

pub async fn child(role: &str, url: &str, count: usize) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new().max_connections(20).connect(url).await?;
    PostgresMigrator::new(pool.clone()).migrate_up().await?;
    let mut workers = Workers::new();
    workers.add_fn(noop)?;
    // As in River's own benchmark: its default pause of 100 ms between fetches would be all that is measured.
    let queue = QueueConfig::new(CONCURRENCY);
    let pause = Duration::from_millis(2);
    let client =
        Client::builder(pool).workers(workers).fetch_cooldown(pause).queue("default", queue).build()?;
    let began = Instant::now();
    match role {
        "one" => {
            for _ in 0..count {
                client.insert(job(0)).await?;
            }
            meter::rate(count, began);
        }
        "bulk" => {
            for group in (0..count).collect::<Vec<_>>().chunks(1000) {
                client.insert_many(group.iter().map(|_| job(0))).await?;
            }
            meter::rate(count, began);
        }
        "pace" => {
            for _ in 0..count {
                client.insert(job(meter::now_us())).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        _ => {
            meter::expect(count);
            client.start()?.wait().await?;
        }
    }
    Ok(())
}
