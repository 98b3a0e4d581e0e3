//! What a day's window costs over a million requests and over ten million, beside plain SQL over the raw rows; and how far
//! quantiles are from the exact ones.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::{PgPool, Row};

use crate::{Api, PROGRAM, connect};

const ENDPOINTS: i32 = 200;
const ASKS: usize = 200;
const RAW_ASKS: usize = 3;
/// Rows of one INSERT.
const CHUNK: i64 = 250_000;

pub async fn measure(api: &Api, database: &str) -> anyhow::Result<()> {
    let most = most();
    let pool = empty(database).await?;
    let mut p99 = Vec::new();
    for (from, to) in [(0, most / 10), (most / 10, most)] {
        let begun = Instant::now();
        fill(&pool, from, to).await?;
        println!(
            "\n{to} requests of 24 h on {ENDPOINTS} endpoints ({:.0} s to store them)",
            begun.elapsed().as_secs_f64()
        );
        let begun = Instant::now();
        rebuild(database)?;
        println!("all rollups made anew in {:.1} s", begun.elapsed().as_secs_f64());
        sqlx::query("VACUUM ANALYZE performance_metrics, rollups").execute(&pool).await?;
        p99.push([ask(api, "summary").await?, ask(api, "endpoints?limit=500").await?]);
    }
    let [before, after] = [&p99[0], &p99[1]];
    for (name, index) in [("summary", 0), ("endpoints", 1)] {
        let (few, many) = (&before[index], &after[index]);
        println!(
            "{name}: p99 {:.1} ms (goal: 50), median {:.2} times what it takes over a tenth (goal: 1.3)",
            ms(many[many.len() * 99 / 100]),
            ms(many[many.len() / 2]) / ms(few[few.len() / 2])
        );
    }
    beside_raw_rows(&pool, &after[0], &after[1]).await?;
    quantiles(api, &pool).await
}

/// As many as the last part of the above has, rolled up.
pub async fn stored(database: &str) -> anyhow::Result<()> {
    let pool = empty(database).await?;
    fill(&pool, 0, most()).await?;
    rebuild(database)?;
    sqlx::query("VACUUM ANALYZE performance_metrics, rollups").execute(&pool).await?;
    Ok(())
}

fn most() -> i64 {
    std::env::var("REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000)
}

async fn empty(database: &str) -> anyhow::Result<PgPool> {
    let pool = connect(database).await?;
    sqlx::query("TRUNCATE performance_metrics, rollups, rollup_backlog").execute(&pool).await?;
    sqlx::query("SELECT metric_series_id('request', 'shop', NULL, 'GET', '/' || n, NULL, 1000) FROM generate_series(1, $1) AS n")
        .bind(ENDPOINTS)
        .fetch_all(&pool)
        .await?;
    Ok(pool)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// In the order of time, as requests come: log-normal, bimodal and heavy-tailed endpoints in turns.
async fn fill(pool: &PgPool, from: i64, to: i64) -> anyhow::Result<()> {
    sqlx::query(
        "SELECT create_day_partition(name, (now() - interval '1 day' * n)::date)
         FROM generate_series(0, 1) AS n, unnest(ARRAY['performance_metrics', 'rollups_minute']) AS name",
    )
    .fetch_all(pool)
    .await?;
    let insert = "
        WITH series AS (SELECT array_agg(id ORDER BY id) AS ids FROM metric_series WHERE service = 'shop'),
        drawn AS (
            SELECT n, n % $4 AS endpoint,
                   sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS normal, random() AS part, random() AS other
            FROM generate_series($1::bigint, $2::bigint - 1) AS n
        )
        INSERT INTO performance_metrics
            (occurred_at, span_key, series_id, service, endpoint, method, status_code, is_error, response_time_ms, trace_id)
        SELECT date_trunc('minute', now()) - interval '24 hours'
                   + interval '24 hours' * (part / $3 + ($1 - $5)::float8 / ($6 - $5)),
               hashint8extended(n, 0), ids[endpoint + 1], 'shop', '/' || endpoint + 1, 'GET', 200, false,
               CASE endpoint % 3
                   WHEN 0 THEN exp(3.5 + 0.9 * normal)
                   WHEN 1 THEN CASE WHEN other < 0.7 THEN 8 + abs(normal) ELSE 350 + 40 * abs(normal) END
                   ELSE 5 / (1 - other) ^ 0.9
               END,
               md5(n::text)
        FROM drawn, series ORDER BY part";
    let mut first = from;
    while first < to {
        let last = (first + CHUNK).min(to);
        let chunks = (to - from) as f64 / (last - first) as f64;
        sqlx::query(insert)
            .bind(first)
            .bind(last)
            .bind(chunks)
            .bind(i64::from(ENDPOINTS))
            .bind(from)
            .bind(to)
            .execute(pool)
            .await?;
        first = last;
    }
    Ok(())
}

fn rebuild(database: &str) -> anyhow::Result<()> {
    let mut command = Command::new(PROGRAM);
    command.args(["rollups", "rebuild", "--from", "2000-01-01"]).env("DATABASE_URL", database);
    let done = command.env("REDIS_URL", "redis://127.0.0.1:1").output().context(PROGRAM)?;
    anyhow::ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// How long each answer took, in order.
async fn ask(api: &Api, path: &str) -> anyhow::Result<Vec<Duration>> {
    let client = reqwest::Client::builder().build()?;
    let url = format!("{}/api/v1/performance/metrics/{path}", api.url);
    let mut times = Vec::new();
    for _ in 0..ASKS {
        let begun = Instant::now();
        let answer = client.get(&url).send().await?.error_for_status()?;
        answer.bytes().await?;
        times.push(begun.elapsed());
    }
    times.sort();
    let at = |part: usize| ms(times[times.len() * part / 100]);
    println!("{path}: median {:.1} ms, p99 {:.1} ms", at(50), at(99));
    Ok(times)
}

/// The same answers from the raw rows.
async fn beside_raw_rows(pool: &PgPool, summary: &[Duration], endpoints: &[Duration]) -> anyhow::Result<()> {
    let columns = "count(*), count(*) FILTER (WHERE is_error), avg(response_time_ms), max(response_time_ms),
         percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms)";
    let since = "occurred_at >= now() - interval '24 hours'";
    for (name, statement, times) in [
        ("summary", format!("SELECT {columns} FROM performance_metrics WHERE {since}"), summary),
        (
            "endpoints",
            format!(
                "SELECT service, method, endpoint, {columns} FROM performance_metrics WHERE {since} GROUP BY 1, 2, 3"
            ),
            endpoints,
        ),
    ] {
        let mut raw = Vec::new();
        for _ in 0..RAW_ASKS {
            let begun = Instant::now();
            sqlx::query(sqlx::AssertSqlSafe(statement.clone())).fetch_all(pool).await?;
            raw.push(begun.elapsed());
        }
        raw.sort();
        let (raw, ours) = (raw[RAW_ASKS / 2], times[times.len() / 2]);
        println!(
            "{name} with percentile_cont over the raw rows: {:.0} ms, {:.0} times as long (goal: 200)",
            ms(raw),
            ms(raw) / ms(ours)
        );
    }
    Ok(())
}

/// How far the API's quantiles are from those of the raw rows.
async fn quantiles(api: &Api, pool: &PgPool) -> anyhow::Result<()> {
    println!("\nrelative error of quantiles (goal: 1 %)");
    println!("{:<14} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "p50", "p90", "p95", "p99", "p99.9");
    for (name, endpoint) in [("log-normal", "/1"), ("bimodal", "/2"), ("heavy-tailed", "/3")] {
        let exact = sqlx::query(
            "SELECT percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99, 0.999]) WITHIN GROUP (ORDER BY response_time_ms) AS exact
             FROM performance_metrics WHERE endpoint = $1",
        )
        .bind(endpoint)
        .fetch_one(pool)
        .await?;
        let exact: Vec<f64> = exact.get("exact");
        let url = format!("{}/api/v1/performance/metrics/summary?hours=48&endpoint={endpoint}", api.url);
        let told: serde_json::Value = serde_json::from_slice(&reqwest::get(url).await?.bytes().await?)?;
        let told = ["p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms"]
            .map(|key| told[key].as_f64().unwrap_or(f64::NAN));
        let errors = told.iter().zip(&exact).map(|(told, exact)| (told / exact - 1.0).abs() * 100.0);
        let errors: Vec<String> = errors.map(|error| format!("{error:>6.2} %")).collect();
        println!("{name:<14} {}", errors.join(" "));
    }
    Ok(())
}
