//! A thousand services, each checked every minute by one worker, and some of them hang: how late a check begins.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use dogwatch_embedded::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{Bench, Process};

const SERVICES: usize = 1000;
/// One in so many never answers.
const HANGS: usize = 50;
const INTERVAL_S: u64 = 60;
const ROUNDS: u64 = 4;
const SCHEDULES: &str = "[schedules.check_service_health]\nevery = \"5s\"\noverlap = \"allow\"\n";

pub async fn measure(bench: &Bench, folder: &Path) -> anyhow::Result<()> {
    let (services, interval_s, rounds) =
        (bench.size(SERVICES, HANGS), bench.size(INTERVAL_S, 10), bench.size(ROUNDS, 1));
    let redis = Redis::start(folder).await?;
    let port = serve().await?;
    let (settings, schedules) = (folder.join("health.toml"), folder.join("health-schedules.toml"));
    let mut text = "[notify.log]\nenabled = false\n".to_owned();
    for n in 0..services {
        let wait = if n % HANGS == 0 { 60_000 } else { n % 200 };
        writeln!(
            text,
            "[[services]]\nname = \"s{n}\"\nurl = \"http://127.0.0.1:{port}/{wait}\"\ninterval = \"{interval_s}s\""
        )?;
    }
    std::fs::write(&settings, text)?;
    std::fs::write(&schedules, SCHEDULES)?;
    let start = |role: &str| {
        let mut command = bench.program();
        command.arg("--config").arg(&settings).arg("--schedules").arg(&schedules).arg(role);
        anyhow::Ok(Process(command.env("REDIS_URL", redis.url()).spawn()?))
    };
    let (worker, scheduler) = (start("worker")?, start("scheduler")?);
    let seconds = interval_s * rounds + 15;
    eprintln!("{services} services every {interval_s} s, one in {HANGS} hangs: {seconds} s");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let cpu_s = cpu_seconds(worker.0.id())?;
    drop((worker, scheduler));
    // Of each service, when each check began, against when the first one did.
    let (checks, p50, p99, max): (i64, f64, f64, f64) = sqlx::query_as(
        "WITH begun AS (
             SELECT service, row_number() OVER each - 1 AS n,
                    checked_at - response_time_ms * interval '1 millisecond' AS at
             FROM service_health_checks WHERE service LIKE 's%' WINDOW each AS (PARTITION BY service ORDER BY checked_at)
         ), late AS (
             SELECT extract(epoch FROM at - first_value(at) OVER (PARTITION BY service ORDER BY n))::float8 - $1 * n AS s
             FROM begun
         )
         SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY s), percentile_cont(0.99) WITHIN GROUP (ORDER BY s),
                max(s) FROM late",
    )
    .bind(interval_s as f64)
    .fetch_one(&bench.connect().await?)
    .await?;
    println!("health checks: {checks} of {services} services in {} rounds", rounds + 1);
    println!("  begin late by {p50:.2} s (p50), {p99:.2} s (p99), {max:.2} s (max); the tick is 5 s");
    println!("  the worker's CPU: {:.1} % of a core", 100.0 * cpu_s / seconds as f64);
    anyhow::ensure!(usize::try_from(checks)? >= services, "{checks} checks of {services} services");
    redis.stop().await;
    Ok(())
}

fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>();
    // In hundredths of a second on every Linux.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// Answers after as many milliseconds as the path says.
async fn serve() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while let Ok(read) = stream.read(&mut request).await
                    && read > 0
                {
                    let text = String::from_utf8_lossy(&request[..read]);
                    let path = text.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
                    tokio::time::sleep(Duration::from_millis(path.parse().unwrap_or(0))).await;
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(port)
}
