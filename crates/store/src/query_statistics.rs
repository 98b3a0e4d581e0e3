//! `query_statistics`: what watched databases say of their queries, read from their `pg_stat_statements`. Its counters only
//! grow; what was added between two looks is kept, so that it can be summed over any window.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{ConnectOptions, Connection, Row};
use utoipa::ToSchema;

use crate::error::{StoreError, connecting};
use crate::partitions::STATISTICS;
use crate::windows::Window;
use crate::{Store, options};

/// Statements that one look reads: those that took most time.
const MAX_STATEMENTS: i64 = 5_000;

/// How long a counter is remembered that is no longer among them.
const FORGET: TimeDelta = TimeDelta::days(30);

/// A statement as a watched database counts it, since it began to count.
#[derive(Clone, Debug)]
pub struct StatementCounters {
    /// By its own count.
    pub query_id: i64,
    /// As it keeps it: without constants.
    pub text: String,
    /// How often it ran.
    pub calls: i64,
    /// Rows that it returned or changed.
    pub rows: i64,
    /// Time of all calls together.
    pub execution_time_ms: f64,
    /// Blocks that were found in memory.
    pub blocks_hit: i64,
    /// Blocks that were not.
    pub blocks_read: i64,
}

/// What watched databases say of a query in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerStatistics {
    /// The databases.
    pub databases: Vec<String>,
    /// How often it ran, whoever asked.
    pub calls: i64,
    /// Mean, without the network.
    pub mean_ms: f64,
    /// Rows that a call returned or changed.
    pub rows_per_call: f64,
    /// Blocks of 8 KiB that a call looked at.
    pub blocks_per_call: f64,
    /// Part of these that were found in memory, 0 to 1; absent when there was none.
    pub hit_rate: Option<f64>,
}

/// Why a watched database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// It did not answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The extension is not there.
    #[error(
        "pg_stat_statements is not installed there; add it to shared_preload_libraries, restart, and run CREATE EXTENSION pg_stat_statements"
    )]
    NoExtension,
    /// The texts of other users' queries are hidden.
    #[error("other users' queries are hidden there; run GRANT pg_read_all_stats TO this user")]
    Hidden,
    /// Anything else. Carries no secret.
    #[error("{0}")]
    Other(String),
}

/// Reads the counters of a Postgres that is watched.
pub async fn read_statements(url: &str, timeout: Duration) -> Result<Vec<StatementCounters>, WatchError> {
    match tokio::time::timeout(timeout, read(url)).await {
        Ok(read) => read,
        Err(_) => Err(WatchError::Timeout(timeout)),
    }
}

async fn read(url: &str) -> Result<Vec<StatementCounters>, WatchError> {
    let options = options(url).map_err(|error| other(&error))?;
    let mut connection = options.connect().await.map_err(|error| WatchError::Other(connecting(error)))?;
    // Not checked when it is compiled: the view is of an extension of the watched database, and not of ours.
    let statement = "
        SELECT queryid, min(query) AS query, sum(calls)::bigint AS calls, sum(rows)::bigint AS rows,
               sum(total_exec_time) AS execution_time_ms, sum(shared_blks_hit)::bigint AS blocks_hit,
               sum(shared_blks_read)::bigint AS blocks_read
        FROM pg_stat_statements
        WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        GROUP BY queryid
        ORDER BY sum(total_exec_time) DESC
        LIMIT $1";
    let rows = sqlx::query(statement).bind(MAX_STATEMENTS).fetch_all(&mut connection).await;
    let rows =
        rows.map_err(
            |error| if is_without_extension(&error) { WatchError::NoExtension } else { other(&error) },
        )?;
    let _ = connection.close().await;
    let seen: Vec<_> = rows.iter().filter_map(|row| counters(row).ok()).collect();
    if seen.is_empty() && !rows.is_empty() {
        return Err(WatchError::Hidden);
    }
    Ok(seen)
}

fn other(error: &dyn std::error::Error) -> WatchError {
    WatchError::Other(error.to_string())
}

fn is_without_extension(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    // Undefined table; not loaded at the server's start.
    matches!(error.code().as_deref(), Some("42P01" | "55000"))
}

/// Fails for a statement that is hidden: it has no id.
fn counters(row: &sqlx::postgres::PgRow) -> sqlx::Result<StatementCounters> {
    Ok(StatementCounters {
        query_id: row.try_get("queryid")?,
        text: row.try_get("query")?,
        calls: row.try_get("calls")?,
        rows: row.try_get("rows")?,
        execution_time_ms: row.try_get("execution_time_ms")?,
        blocks_hit: row.try_get("blocks_hit")?,
        blocks_read: row.try_get("blocks_read")?,
    })
}

struct Summed {
    fingerprint: i64,
    databases: Vec<String>,
    calls: i64,
    rows: i64,
    execution_time_ms: f64,
    blocks_hit: i64,
    blocks_read: i64,
}

impl Store {
    /// Keeps what was added to these counters since the look before; says of how many queries there was any. The first
    /// look at a database is where counting begins. Looks at one database come one after another.
    pub async fn record_statements(
        &self,
        database: &str,
        looked_at: DateTime<Utc>,
        statements: &[(i64, StatementCounters)],
    ) -> Result<u64, StoreError> {
        self.ensure_days(STATISTICS, std::iter::once(looked_at)).await?;
        let failed = || StoreError::query("store what a database says of its queries");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let lock = sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtext('dogwatch query statistics'), hashtext($1))",
            database
        );
        lock.execute(&mut *transaction).await.map_err(failed())?;
        macro_rules! column {
            ($value:expr) => {
                &statements.iter().map($value).collect::<Vec<_>>()
            };
        }
        let added = sqlx::query!(
            r#"
            WITH told AS (
                SELECT * FROM unnest(
                    $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::float8[], $8::bigint[], $9::bigint[]
                ) AS told (fingerprint, query_id, calls, rows, execution_time_ms, blocks_hit, blocks_read)
            ),
            is_known AS (SELECT EXISTS (SELECT FROM query_counters WHERE database = $1) AS it),
            kept AS (
                INSERT INTO query_counters
                SELECT $1, query_id, calls, rows, execution_time_ms, blocks_hit, blocks_read, $2 FROM told
                ON CONFLICT (database, query_id) DO UPDATE
                SET calls = excluded.calls, rows = excluded.rows, execution_time_ms = excluded.execution_time_ms,
                    blocks_hit = excluded.blocks_hit, blocks_read = excluded.blocks_read, looked_at = excluded.looked_at
            ),
            added AS (
                -- A counter that is lower than before was set back, and began anew.
                SELECT told.fingerprint,
                       told.calls - CASE WHEN told.calls >= before.calls THEN before.calls ELSE 0 END AS calls,
                       told.rows - CASE WHEN told.calls >= before.calls THEN before.rows ELSE 0 END AS rows,
                       told.execution_time_ms
                           - CASE WHEN told.calls >= before.calls THEN before.execution_time_ms ELSE 0 END
                           AS execution_time_ms,
                       told.blocks_hit - CASE WHEN told.calls >= before.calls THEN before.blocks_hit ELSE 0 END
                           AS blocks_hit,
                       told.blocks_read - CASE WHEN told.calls >= before.calls THEN before.blocks_read ELSE 0 END
                           AS blocks_read
                FROM told
                LEFT JOIN query_counters AS before ON before.database = $1 AND before.query_id = told.query_id
                WHERE before.query_id IS NOT NULL OR (SELECT it FROM is_known)
            )
            INSERT INTO query_statistics
            SELECT $2, $1, fingerprint, sum(calls)::bigint, sum(rows)::bigint, sum(execution_time_ms),
                   sum(blocks_hit)::bigint, sum(blocks_read)::bigint
            FROM added
            WHERE calls > 0
            GROUP BY fingerprint
            ON CONFLICT DO NOTHING
            "#,
            database,
            looked_at,
            column!(|(fingerprint, _)| *fingerprint),
            column!(|(_, told)| told.query_id),
            column!(|(_, told)| told.calls),
            column!(|(_, told)| told.rows),
            column!(|(_, told)| told.execution_time_ms),
            column!(|(_, told)| told.blocks_hit),
            column!(|(_, told)| told.blocks_read)
        );
        let added = added.execute(&mut *transaction).await.map_err(failed())?;
        // What comes back after so long has begun anew.
        let forget = sqlx::query!(
            "DELETE FROM query_counters WHERE database = $1 AND looked_at < $2",
            database,
            looked_at - FORGET
        );
        forget.execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(added.rows_affected())
    }

    pub(crate) async fn statistics_of(
        &self,
        prints: &[i64],
        window: Window,
    ) -> Result<HashMap<i64, ServerStatistics>, StoreError> {
        let summed = sqlx::query_as!(
            Summed,
            r#"
            SELECT fingerprint, array_agg(DISTINCT database ORDER BY database) AS "databases!",
                   sum(calls)::bigint AS "calls!", sum(rows)::bigint AS "rows!",
                   sum(execution_time_ms) AS "execution_time_ms!", sum(blocks_hit)::bigint AS "blocks_hit!",
                   sum(blocks_read)::bigint AS "blocks_read!"
            FROM query_statistics
            WHERE fingerprint = ANY ($1) AND occurred_at >= $2 AND occurred_at < $3
            GROUP BY fingerprint
            "#,
            prints,
            window.since,
            window.until.unwrap_or(DateTime::<Utc>::MAX_UTC)
        );
        let summed = summed
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("read what databases say of queries"))?;
        Ok(summed.into_iter().map(|summed| (summed.fingerprint, summed.told())).collect())
    }
}

impl Summed {
    fn told(self) -> ServerStatistics {
        let calls = (self.calls as f64).max(1.0);
        let blocks = (self.blocks_hit + self.blocks_read) as f64;
        ServerStatistics {
            databases: self.databases,
            calls: self.calls,
            mean_ms: self.execution_time_ms / calls,
            rows_per_call: self.rows as f64 / calls,
            blocks_per_call: blocks / calls,
            hit_rate: (blocks > 0.0).then(|| self.blocks_hit as f64 / blocks),
        }
    }
}
