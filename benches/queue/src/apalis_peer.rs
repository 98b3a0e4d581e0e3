//! Stock apalis-redis 1.0.0, as its README has it. It stops for good at 8,000 due jobs, hence the small backlog.

use std::time::{Duration, Instant};

use apalis::layers::WorkerBuilderExt;
use apalis::prelude::*;
use apalis_redis::RedisStorage;

use crate::meter::{self, Payload};

const CONCURRENCY: usize = 256;

async fn noop(payload: Payload) -> Result<(), BoxDynError> {
    meter::job(&payload);
    Ok(())
}

pub async fn child(role: &str, url: &str, count: usize) -> anyhow::Result<()> {
    let connection = apalis_redis::connect(url).await?;
    // What its own documentation recommends against its pause of one second between batches of ten.
    let config = apalis_redis::Config::default().queue("bench-apalis").batch_size(256);
    let mut storage = RedisStorage::<Payload>::new(connection).with_config(config);
    let began = Instant::now();
    match role {
        "one" => {
            for _ in 0..count {
                storage.push(Payload::new(0)).await?;
            }
            meter::rate(count, began);
        }
        "bulk" => {
            let jobs: Vec<Payload> = (0..count).map(|_| Payload::new(0)).collect();
            for group in jobs.chunks(500) {
                storage.push_bulk(group.to_vec()).await?;
            }
            meter::rate(count, began);
        }
        "pace" => {
            for _ in 0..count {
                storage.push(Payload::new(meter::now_us())).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        _ => {
            meter::expect(count);
            let backend = storage.poll_with_interval(Duration::from_millis(100));
            // One name may not come back within 30 s.
            let name = format!("bench-{}", std::process::id());
            WorkerBuilder::new(name).backend(backend).concurrency(CONCURRENCY).build(noop).run().await?;
        }
    }
    Ok(())
}
