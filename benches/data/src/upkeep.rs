//! What keeps the data small and ready: a day that goes, beside a DELETE of the same rows; and one pass that rolls up a
//! minute with many new rows.

use std::time::{Duration, Instant};

use dogwatch_store::Store;
use sqlx::PgPool;

use crate::{Bench, windows};

const DAY_ROWS: i64 = 1_000_000;
const MINUTE_ROWS: i64 = 100_000;
const PASSES: usize = 9;

pub async fn measure(bench: &Bench) -> anyhow::Result<()> {
    let pool = bench.connect().await?;
    windows::create_series(&pool).await?;
    retention(&pool, &bench.database, bench.size(DAY_ROWS, 20_000)).await?;
    rollup(&pool, &bench.database, bench.size(MINUTE_ROWS, 2_000)).await
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn fill(pool: &PgPool, begin: &str, seconds: i64, rows: i64) -> anyhow::Result<()> {
    sqlx::query("SELECT create_day_partition('performance_metrics', $1::timestamptz::date)")
        .bind(begin)
        .execute(pool)
        .await?;
    sqlx::query(
        "WITH series AS (SELECT array_agg(id) AS ids FROM metric_series WHERE service = 'shop')
         INSERT INTO performance_metrics
             (occurred_at, span_key, series_id, service, endpoint, method, status_code, is_error, response_time_ms, trace_id)
         SELECT $1::timestamptz + interval '1 second' * $2 * (n::float8 / $3), hashint8extended(n, 0),
                ids[1 + n % cardinality(ids)], 'shop', '/' || n % 200, 'GET', 200, false, 10 + n % 1000, md5(n::text)
         FROM generate_series(0, $3 - 1) AS n, series",
    )
    .bind(begin)
    .bind(seconds as f64)
    .bind(rows)
    .execute(pool)
    .await?;
    Ok(())
}

/// The oldest of three days goes: from partitions as the cleanup does it, and from one table with the same rows and indexes
/// by DELETE, with the VACUUM that makes its room usable again.
async fn retention(pool: &PgPool, database: &str, rows: i64) -> anyhow::Result<()> {
    for day in ["2020-01-01Z", "2020-01-02Z", "2020-01-03Z"] {
        fill(pool, day, 86_000, rows).await?;
    }
    sqlx::raw_sql(
        "CREATE TABLE one_table (LIKE performance_metrics INCLUDING ALL);
         INSERT INTO one_table SELECT * FROM performance_metrics WHERE occurred_at < '2020-02-01Z'",
    )
    .execute(pool)
    .await?;
    sqlx::raw_sql("VACUUM ANALYZE performance_metrics").execute(pool).await?;
    sqlx::raw_sql("VACUUM ANALYZE one_table").execute(pool).await?;
    // As days that are long over are: on the disk.
    sqlx::raw_sql("CHECKPOINT").execute(pool).await?;
    let begun = Instant::now();
    let gone = sqlx::query("DELETE FROM one_table WHERE occurred_at < '2020-01-02Z'").execute(pool).await?;
    let delete = begun.elapsed();
    anyhow::ensure!(gone.rows_affected() == rows.unsigned_abs());
    let begun = Instant::now();
    sqlx::raw_sql("VACUUM one_table").execute(pool).await?;
    let vacuum = begun.elapsed();
    let store = Store::connect(database, &settings()?)?;
    let begun = Instant::now();
    let unseen = tokio::spawn(is_gone(pool.clone(), begun));
    let expired = store.expire("performance_metrics", "2020-01-02T00:00:00Z".parse()?, false).await?;
    let drop = begun.elapsed();
    let unseen = unseen.await??;
    anyhow::ensure!(expired.partitions.len() == 1, "{expired:?}");
    let dead: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'performance_metrics_2020%'",
    )
    .fetch_one(pool)
    .await?;
    println!(
        "\nthe oldest of three days of {rows} rows is out of sight after {:.0} ms, its files after {:.0} ms, and leaves {dead} dead \
         rows; DELETE takes {:.0} ms, {:.0} times as long, {:.0} times with its VACUUM of {:.0} ms (goal: 50)",
        ms(unseen),
        ms(drop),
        ms(delete),
        ms(delete) / ms(drop),
        ms(delete + vacuum) / ms(drop),
        ms(vacuum),
    );
    sqlx::raw_sql("DROP TABLE one_table").execute(pool).await?;
    Ok(())
}

/// When no query sees the day any more.
async fn is_gone(pool: PgPool, begun: Instant) -> anyhow::Result<Duration> {
    let is_there = "SELECT EXISTS (SELECT FROM performance_metrics WHERE occurred_at < '2020-01-02Z')";
    while sqlx::query_scalar(is_there).fetch_one(&pool).await? {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(begun.elapsed())
}

/// Of a minute of which everything is new, again and again.
async fn rollup(pool: &PgPool, database: &str, rows: i64) -> anyhow::Result<()> {
    let minute = "2020-02-01T10:00:00Z";
    fill(pool, minute, 60, rows).await?;
    sqlx::query("VACUUM ANALYZE performance_metrics").execute(pool).await?;
    let store = Store::connect(database, &settings()?)?;
    store.roll_up().await?;
    let mut times = Vec::new();
    for _ in 0..PASSES {
        sqlx::query("INSERT INTO rollup_backlog VALUES (1, 'request', $1::timestamptz)")
            .bind(minute)
            .execute(pool)
            .await?;
        let begun = Instant::now();
        let made = store.roll_up().await?;
        times.push(begun.elapsed());
        anyhow::ensure!(made == 3, "{made} buckets, and not a minute, an hour and a day");
    }
    times.sort();
    println!(
        "a pass over a minute with {rows} new rows, its hour and its day: median {:.0} ms, longest {:.0} ms (goal: 500)",
        ms(times[PASSES / 2]),
        ms(times[PASSES - 1])
    );
    Ok(())
}

fn settings() -> anyhow::Result<dogwatch_store::Settings> {
    Ok(toml::from_str("max_connections = 5\nacquire_timeout = \"5s\"\nstatement_timeout = \"300s\"")?)
}
