//! Trend analysis of ten thousand series with fifteen days behind them: how long a run takes, beside reading what it reads.

use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::{AssertSqlSafe, PgPool};

use crate::{Bench, succeed};

const SERVICES: i32 = 10;
/// Each has a p95 and an error rate; each service has both, and its traffic.
const ENDPOINTS: i32 = 450;
/// Queries of a service; each has a p95.
const QUERIES: i32 = 100;
const DAYS: i32 = 15;
const RUNS: usize = 5;
/// Thirty requests of 100 ms, as a sketch.
const SKETCH: &str = r"'\xd8051e'::bytea";
/// What a run compares as a whole: a twelfth of all series.
const READ_AS_A_RUN: &str = "SELECT count(figures), count(counts) FROM trend_hours WHERE series_id % 12 = 0";

pub async fn measure(bench: &Bench) -> anyhow::Result<()> {
    let pool = bench.connect().await?;
    fill(&pool, bench).await?;
    let series: i64 = sqlx::query_scalar("SELECT count(*) FROM trend_series").fetch_one(&pool).await?;
    let learning = analyze(bench)?;
    println!("{series} series of {DAYS} days; one core for the program");
    println!("  the first run, in which each detector learns its past  {:>8.2} s", learning.as_secs_f64());
    let mut runs = Vec::new();
    let mut reads = Vec::new();
    let count = bench.size(RUNS, 1);
    for _ in 0..count {
        let back = "UPDATE trend_progress SET analysed_through = analysed_through - interval '5 minutes'";
        sqlx::query(back).execute(&pool).await?;
        runs.push(analyze(bench)?);
        let begun = Instant::now();
        sqlx::query(READ_AS_A_RUN).execute(&pool).await?;
        reads.push(begun.elapsed());
    }
    runs.sort();
    reads.sort();
    let (run, read) = (runs[count / 2], reads[count / 2]);
    println!("  a run of one step                                      {:>8.2} s", run.as_secs_f64());
    println!("  Postgres alone, reading what is compared as a whole    {:>8.2} s", read.as_secs_f64());
    println!(
        "  ratio                                                  {:>8.2}",
        run.as_secs_f64() / read.as_secs_f64()
    );
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM trend_findings").fetch_one(&pool).await?;
    println!("  findings, of which there should be none                {found:>8}");
    Ok(())
}

/// Bound to one core.
fn analyze(bench: &Bench) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    succeed(bench.program_on_one_core().args(["analyze", "--json"]))?;
    Ok(begun.elapsed())
}

async fn fill(pool: &PgPool, bench: &Bench) -> anyhow::Result<()> {
    let (services, endpoints, queries) =
        (bench.size(SERVICES, 2), bench.size(ENDPOINTS, 10), bench.size(QUERIES, 5));
    let scope = "jsonb_build_object('service', 's' || s, 'endpoint', 'GET /e' || e)";
    let print = "lpad(to_hex(q), 16, '0')";
    // Around 100, with a daily season and noise of its own.
    let figures =
        vec!["100 * exp(0.2 * sin(extract(epoch FROM hour) / 13751) + 0.2 * (random() + random() - 1))"; 12];
    let figures = figures.join(", ");
    let counts = vec!["150"; 12].join(", ");
    let mut statements = vec![
        format!(
            "INSERT INTO metric_series (subject, service, method, endpoint)
             SELECT 'request', 's' || s, 'GET', '/e' || e FROM generate_series(1, {services}) s, generate_series(1, {endpoints}) e"
        ),
        format!(
            "INSERT INTO metric_series (subject, service, method, endpoint, fingerprint)
             SELECT 'query', 's' || s, 'GET', '/e1', q FROM generate_series(1, {services}) s, generate_series(1, {queries}) q"
        ),
        "SELECT create_day_partition('rollups_minute', day::date), create_day_partition('trend_hours', day::date)
         FROM generate_series(now() - interval '17 days', now() + interval '1 day', '1 day') day"
            .to_owned(),
        format!(
            "INSERT INTO rollups (resolution, subject, bucket, series_id, count, errors, sum_ms, sum_squares_ms, min_ms, max_ms, sketch)
             SELECT 1, subject, minute, id, 30, 0, 3000, 300000, 100, 100, {SKETCH}
             FROM metric_series, generate_series(date_trunc('minute', now()) - interval '15 minutes', now(), '1 minute') minute"
        ),
        format!(
            "INSERT INTO trend_series (metric, scope, created_at)
             SELECT metric, {scope}, now() FROM generate_series(1, {services}) s, generate_series(1, {endpoints}) e,
                 unnest(ARRAY['response_time_ms', 'error_rate']) metric
             UNION ALL
             SELECT metric, jsonb_build_object('service', 's' || s), now() FROM generate_series(1, {services}) s,
                 unnest(ARRAY['response_time_ms', 'error_rate', 'request_rate']) metric
             UNION ALL
             SELECT 'query_time_ms', jsonb_build_object('service', 's' || s, 'query', {print}), now()
             FROM generate_series(1, {services}) s, generate_series(1, {queries}) q"
        ),
        format!(
            "INSERT INTO trend_hours (series_id, hour, figures, counts)
             SELECT id, hour,
                 CASE WHEN metric = 'error_rate' THEN array_fill(0::real, ARRAY[12]) ELSE ARRAY[{figures}]::real[] END,
                 ARRAY[{counts}]::real[]
             FROM generate_series(date_trunc('hour', now()) - interval '{DAYS} days', date_trunc('hour', now()) - interval '1 hour', '1 hour') hour,
                  trend_series"
        ),
        "INSERT INTO trend_progress (analysed_through) SELECT date_bin('5 minutes', now() - interval '12 minutes', '2020-01-01')"
            .to_owned(),
    ];
    statements.extend(
        ["metric_series", "rollups", "trend_series", "trend_hours"]
            .map(|table| format!("VACUUM ANALYZE {table}")),
    );
    for statement in statements {
        let begun = Instant::now();
        let what: String = statement.chars().take(40).collect();
        sqlx::query(AssertSqlSafe(statement)).execute(pool).await.with_context(|| what.clone())?;
        eprintln!("{what}… {:.1} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
