//! What the first view of the dashboard costs over ten million requests: its files and its one question, at each length of time that it
//! offers. `HOLD_S=600` keeps everything running for so long, to look at it with a browser.

use std::time::{Duration, Instant};

use crate::{Api, Bench, windows};

const ASKS: usize = 50;

pub async fn measure(bench: &Bench) -> anyhow::Result<()> {
    windows::stored(bench).await?;
    let api = Api::start(bench).await?;
    let asks = bench.size(ASKS, 3);
    let client = &api.client;
    for hours in [1, 6, 24] {
        let url = format!("{}/api/v1/performance/dashboard?hours={hours}", api.url);
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..asks {
            let begun = Instant::now();
            bytes = client.get(&url).send().await?.error_for_status()?.bytes().await?.len();
            times.push(begun.elapsed());
        }
        times.sort();
        let ms = |part: usize| times[asks * part / 100].as_secs_f64() * 1e3;
        println!("dashboard of {hours} h: median {:.1} ms, p95 {:.1} ms, {bytes} bytes", ms(50), ms(95));
    }
    if let Some(hold) = std::env::var("HOLD_S").ok().and_then(|text| text.parse().ok()) {
        println!("{} for {hold} s; AUTHORIZATION='{}'", api.url, api.authorization);
        tokio::time::sleep(Duration::from_secs(hold)).await;
    }
    Ok(())
}
