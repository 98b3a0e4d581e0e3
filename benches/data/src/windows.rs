//! What a day's window costs over a million requests and over ten million, beside plain SQL over the raw rows; and how far
//! quantiles are from the exact ones.

use std::time::{Duration, Instant};

use sqlx::{PgPool, Row};

use crate::{Api, Bench};

const ENDPOINTS: i32 = 200;
const ASKS: usize = 200;
/// Over which the requests are spread. Each minute is a bucket to be made.
const HOURS: f64 = 24.0;
const QUICK_HOURS: f64 = 1.0;
const RAW_ASKS: usize = 3;
/// Rows of one INSERT.
const CHUNK: i64 = 250_000;
const REBUILD: [&str; 4] = ["rollups", "rebuild", "--from", "2000-01-01"];

pub async fn measure(bench: &Bench) -> anyhow::Result<()> {
    let api = Api::start(bench).await?;
    let (most, hours) = (most(bench), bench.size(HOURS, QUICK_HOURS));
    let pool = bench.connect().await?;
    create_series(&pool).await?;
    let mut p99 = Vec::new();
    for (from, to) in [(0, most / 10), (most / 10, most)] {
        let begun = Instant::now();
        fill(&pool, hours, from, to).await?;
        println!(
            "\n{to} requests of {hours} h on {ENDPOINTS} endpoints ({:.0} s to store them)",
            begun.elapsed().as_secs_f64()
        );
        let begun = Instant::now();
        bench.run(&REBUILD)?;
        println!("all rollups made anew in {:.1} s", begun.elapsed().as_secs_f64());
        sqlx::query("VACUUM ANALYZE performance_metrics, rollups").execute(&pool).await?;
        let asks = bench.size(ASKS, 5);
        p99.push([ask(&api, "summary", asks).await?, ask(&api, "endpoints?limit=500", asks).await?]);
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
    beside_raw_rows(&pool, &after[0], &after[1], bench.size(RAW_ASKS, 1)).await?;
    quantiles(&api, &pool).await
}

/// As many as the last part of the above has, rolled up.
pub async fn stored(bench: &Bench) -> anyhow::Result<()> {
    let pool = bench.connect().await?;
    create_series(&pool).await?;
    fill(&pool, bench.size(HOURS, QUICK_HOURS), 0, most(bench)).await?;
    bench.run(&REBUILD)?;
    sqlx::query("VACUUM ANALYZE performance_metrics, rollups").execute(&pool).await?;
    Ok(())
}

fn most(bench: &Bench) -> i64 {
    let usual = bench.size(10_000_000, 10_000);
    std::env::var("REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The series of the requests: one of each endpoint of the service `shop`.
pub async fn create_series(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::query("SELECT metric_series_id('request', 'shop', NULL, 'GET', '/' || n, NULL, 1000) FROM generate_series(1, $1) AS n")
        .bind(ENDPOINTS)
        .fetch_all(pool)
        .await?;
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// In the order of time, as requests come: log-normal, bimodal and heavy-tailed endpoints in turns.
async fn fill(pool: &PgPool, hours: f64, from: i64, to: i64) -> anyhow::Result<()> {
    // Tomorrow's as well: it may begin meanwhile.
    sqlx::query(
        "SELECT create_day_partition(name, (now() - interval '1 day' * n)::date)
         FROM generate_series(-1, 1) AS n, unnest(ARRAY['performance_metrics', 'rollups_minute']) AS name",
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
        SELECT date_trunc('minute', now()) - interval '1 hour' * $7
                   + interval '1 hour' * $7 * (part / $3 + ($1 - $5)::float8 / ($6 - $5)),
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
            .bind(hours)
            .execute(pool)
            .await?;
        first = last;
    }
    Ok(())
}

/// How long each answer took, in order.
async fn ask(api: &Api, path: &str, asks: usize) -> anyhow::Result<Vec<Duration>> {
    let client = &api.client;
    let url = format!("{}/api/v1/performance/metrics/{path}", api.url);
    let mut times = Vec::new();
    for _ in 0..asks {
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
async fn beside_raw_rows(
    pool: &PgPool,
    summary: &[Duration],
    endpoints: &[Duration],
    asks: usize,
) -> anyhow::Result<()> {
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
        for _ in 0..asks {
            let begun = Instant::now();
            sqlx::query(sqlx::AssertSqlSafe(statement.clone())).fetch_all(pool).await?;
            raw.push(begun.elapsed());
        }
        raw.sort();
        let (raw, ours) = (raw[asks / 2], times[times.len() / 2]);
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
        let told: serde_json::Value =
            serde_json::from_slice(&api.client.get(url).send().await?.bytes().await?)?;
        let told = ["p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms"]
            .map(|key| told[key].as_f64().unwrap_or(f64::NAN));
        let errors = told.iter().zip(&exact).map(|(told, exact)| (told / exact - 1.0).abs() * 100.0);
        let errors: Vec<String> = errors.map(|error| format!("{error:>6.2} %")).collect();
        println!("{name:<14} {}", errors.join(" "));
    }
    Ok(())
}
