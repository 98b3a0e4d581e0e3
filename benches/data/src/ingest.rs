//! A million spans over HTTP from eight connections, beside a plain binary COPY of the rows that they became.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::TryStreamExt;
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgPoolCopyExt};

use crate::{Api, Bench, spans};

const SPANS: usize = 1_000_000;
const CONNECTIONS: usize = 8;

pub async fn measure(bench: &Bench) -> anyhow::Result<()> {
    let api = Api::start(bench).await?;
    let usual = bench.size(SPANS, 10_000);
    let count: usize = std::env::var("SPANS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let bodies = Arc::new(spans::bodies(count));
    println!(
        "{} bodies of {} kB on average",
        bodies.len(),
        bodies.iter().map(Vec::len).sum::<usize>() / bodies.len() / 1000
    );
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let again = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            tokio::spawn(send(api.url.clone(), Arc::clone(&bodies), Arc::clone(&next), Arc::clone(&again)))
        })
        .collect();
    for sender in senders {
        sender.await??;
    }
    let dogwatch = count as f64 / begun.elapsed().as_secs_f64();
    println!(
        "dogwatch: {dogwatch:.0} spans/s, {} refused and sent again, peak {:.0} MB",
        again.load(Ordering::SeqCst),
        api.peak_mb()?
    );

    let pool = bench.connect().await?;
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM performance_metrics").fetch_one(&pool).await?;
    anyhow::ensure!(usize::try_from(stored)? == count, "{stored} rows are stored");
    let rolled = Instant::now();
    loop {
        let rolled_up: i64 =
            sqlx::query_scalar("SELECT coalesce(sum(count), 0)::bigint FROM rollups WHERE resolution = 1440")
                .fetch_one(&pool)
                .await?;
        if usize::try_from(rolled_up)? == count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("rolled up {:.1} s later", rolled.elapsed().as_secs_f64());

    let out = "COPY (SELECT * FROM performance_metrics) TO STDOUT (FORMAT binary)";
    let rows: Vec<_> = pool.copy_out_raw(out).await?.try_collect().await?;
    sqlx::query("TRUNCATE performance_metrics").execute(&pool).await?;
    let mut connection = PgConnection::connect(&bench.database).await?;
    let begun = Instant::now();
    let mut copy = connection.copy_in_raw("COPY performance_metrics FROM STDIN (FORMAT binary)").await?;
    for chunk in &rows {
        copy.send(&chunk[..]).await?;
    }
    copy.finish().await.context("copy")?;
    let plain = count as f64 / begun.elapsed().as_secs_f64();
    println!("plain COPY: {plain:.0} rows/s; dogwatch {:.2} of it (goal: 0.5)", dogwatch / plain);
    Ok(())
}

async fn send(
    url: String,
    bodies: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    again: Arc<AtomicUsize>,
) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().build()?;
    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::SeqCst)) {
        loop {
            let request =
                client.post(format!("{url}/v1/traces")).header("content-type", "application/x-protobuf");
            let answer = request.header("content-encoding", "gzip").body(body.clone()).send().await?;
            match answer.status().as_u16() {
                200 => break,
                429 => again.fetch_add(1, Ordering::SeqCst),
                other => anyhow::bail!("{other}: {}", answer.text().await?),
            };
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}
