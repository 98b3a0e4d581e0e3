//! `host_metrics` and `host_disks`: what machines did.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::Store;
use crate::error::StoreError;
use crate::partitions::{DISKS, HOSTS};

/// Hosts, and disks, that one look returns.
const MAX_ROWS: i64 = 1000;

/// One sample of a machine.
#[derive(Clone, Debug)]
pub struct HostSample {
    /// The machine.
    pub host: String,
    /// When.
    pub sampled_at: DateTime<Utc>,
    /// CPU use, of what may be used.
    pub cpu_percent: f64,
    /// Cores that may be used; a fraction under a quota.
    pub cpu_count: f64,
    /// Load over one minute.
    pub load1: f64,
    /// Load over five minutes.
    pub load5: f64,
    /// Load over fifteen minutes.
    pub load15: f64,
    /// Memory in use, caches not counted.
    pub memory_used_bytes: i64,
    /// Memory that may be used.
    pub memory_total_bytes: i64,
    /// Swap in use.
    pub swap_used_bytes: i64,
    /// Swap there is.
    pub swap_total_bytes: i64,
    /// Received over all interfaces.
    pub network_received_bytes_per_second: Option<f64>,
    /// Sent over all interfaces.
    pub network_sent_bytes_per_second: Option<f64>,
    /// Its disks.
    pub disks: Vec<DiskSample>,
}

/// One disk in a sample.
#[derive(Clone, Debug)]
pub struct DiskSample {
    /// Where it is mounted.
    pub mount: String,
    /// Its file system.
    pub file_system: String,
    /// In use.
    pub used_bytes: i64,
    /// Its size.
    pub total_bytes: i64,
}

/// A machine over a window.
#[derive(Clone, Debug, Serialize)]
pub struct HostUsage {
    /// The machine.
    pub host: String,
    /// Its samples.
    pub samples: i64,
    /// Mean CPU use.
    pub cpu_percent_mean: f64,
    /// Standard deviation of the CPU use.
    pub cpu_percent_stddev: f64,
    /// Highest CPU use.
    pub cpu_percent_max: f64,
    /// Mean memory use.
    pub memory_percent_mean: f64,
    /// Standard deviation of the memory use.
    pub memory_percent_stddev: f64,
    /// The last sample.
    pub last_sampled_at: DateTime<Utc>,
}

/// A disk as it was seen last.
#[derive(Clone, Debug, Serialize)]
pub struct DiskUsage {
    /// The machine.
    pub host: String,
    /// Where it is mounted.
    pub mount: String,
    /// How full it is.
    pub used_percent: f64,
    /// In use.
    pub used_bytes: i64,
    /// Its size.
    pub total_bytes: i64,
    /// When that was.
    pub sampled_at: DateTime<Utc>,
}

/// How a disk fills.
#[derive(Clone, Debug, Serialize)]
pub struct DiskGrowth {
    /// The machine.
    pub host: String,
    /// Where it is mounted.
    pub mount: String,
    /// How much more is in use from day to day, by a line through the samples (least squares).
    pub bytes_per_day: f64,
    /// Days until it is full at that pace; absent when it does not fill.
    pub full_in_days: Option<f64>,
}

/// A host at a moment.
#[derive(Clone, Copy, Debug)]
pub struct HostNow {
    /// When.
    pub sampled_at: DateTime<Utc>,
    /// Use of its CPUs.
    pub cpu_percent: f64,
    /// Use of its memory.
    pub memory_percent: f64,
}

struct NamedHost {
    host: String,
    sampled_at: DateTime<Utc>,
    cpu_percent: f64,
    memory_percent: f64,
}

impl Store {
    /// Stores a sample with its disks. The same moment of the same host is stored once.
    pub async fn insert_host_sample(&self, sample: &HostSample) -> Result<(), StoreError> {
        for table in [HOSTS, DISKS] {
            self.ensure_days(table, std::iter::once(sample.sampled_at)).await?;
        }
        let failed = || StoreError::query("store a host sample");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        sqlx::query!(
            r#"
            INSERT INTO host_metrics (
                host, sampled_at, cpu_percent, cpu_count, load1, load5, load15, memory_used_bytes, memory_total_bytes,
                swap_used_bytes, swap_total_bytes, network_received_bytes_per_second, network_sent_bytes_per_second
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            ON CONFLICT DO NOTHING
            "#,
            sample.host,
            sample.sampled_at,
            sample.cpu_percent,
            sample.cpu_count,
            sample.load1,
            sample.load5,
            sample.load15,
            sample.memory_used_bytes,
            sample.memory_total_bytes,
            sample.swap_used_bytes,
            sample.swap_total_bytes,
            sample.network_received_bytes_per_second,
            sample.network_sent_bytes_per_second
        )
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        for disk in &sample.disks {
            sqlx::query!(
                r#"
                INSERT INTO host_disks (host, sampled_at, mount, file_system, used_bytes, total_bytes)
                VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT DO NOTHING
                "#,
                sample.host,
                sample.sampled_at,
                disk.mount,
                disk.file_system,
                disk.used_bytes,
                disk.total_bytes
            )
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }

    /// The last sample of each host since a time, by its name.
    pub async fn hosts_now(&self, since: DateTime<Utc>) -> Result<HashMap<String, HostNow>, StoreError> {
        let hosts = sqlx::query_as!(
            NamedHost,
            r#"
            SELECT DISTINCT ON (host) host, sampled_at, cpu_percent,
                   (100.0 * memory_used_bytes / greatest(memory_total_bytes, 1))::double precision AS "memory_percent!"
            FROM host_metrics
            WHERE sampled_at >= $1
            ORDER BY host, sampled_at DESC
            LIMIT $2
            "#,
            since,
            MAX_ROWS
        );
        let hosts = hosts.fetch_all(&self.pool).await.map_err(StoreError::query("read host metrics"))?;
        let now = |row: NamedHost| {
            (
                row.host,
                HostNow {
                    sampled_at: row.sampled_at,
                    cpu_percent: row.cpu_percent,
                    memory_percent: row.memory_percent,
                },
            )
        };
        Ok(hosts.into_iter().map(now).collect())
    }

    /// CPU and memory of each host in `[since, until)`.
    pub async fn host_usage(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<HostUsage>, StoreError> {
        let hosts = sqlx::query_as!(
            HostUsage,
            r#"
            SELECT host,
                   count(*) AS "samples!",
                   avg(cpu_percent) AS "cpu_percent_mean!",
                   coalesce(stddev_samp(cpu_percent), 0) AS "cpu_percent_stddev!",
                   max(cpu_percent) AS "cpu_percent_max!",
                   avg(100.0 * memory_used_bytes / greatest(memory_total_bytes, 1))::double precision
                       AS "memory_percent_mean!",
                   coalesce(stddev_samp(100.0 * memory_used_bytes / greatest(memory_total_bytes, 1)), 0)::double precision
                       AS "memory_percent_stddev!",
                   max(sampled_at) AS "last_sampled_at!"
            FROM host_metrics
            WHERE sampled_at >= $1 AND sampled_at < $2
            GROUP BY host
            ORDER BY host
            LIMIT $3
            "#,
            since,
            until,
            MAX_ROWS
        );
        hosts.fetch_all(&self.pool).await.map_err(StoreError::query("read host metrics"))
    }

    /// Each disk as it was seen last in `[since, until)`.
    pub async fn disk_usage(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<DiskUsage>, StoreError> {
        let disks = sqlx::query_as!(
            DiskUsage,
            r#"
            SELECT DISTINCT ON (host, mount)
                   host, mount, used_bytes, total_bytes, sampled_at,
                   (100.0 * used_bytes / greatest(total_bytes, 1))::double precision AS "used_percent!"
            FROM host_disks
            WHERE sampled_at >= $1 AND sampled_at < $2
            ORDER BY host, mount, sampled_at DESC
            LIMIT $3
            "#,
            since,
            until,
            MAX_ROWS
        );
        disks.fetch_all(&self.pool).await.map_err(StoreError::query("read disks"))
    }

    /// How each disk fills, by the samples in `[since, until)`; of those that were sampled for six hours at least.
    pub async fn disk_growth(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<DiskGrowth>, StoreError> {
        let rows = sqlx::query!(
            r#"
            SELECT host, mount,
                   86400 * regr_slope(used_bytes::double precision, extract(epoch FROM sampled_at)::double precision) AS per_day,
                   max(total_bytes) AS "total!",
                   (array_agg(used_bytes ORDER BY sampled_at DESC))[1] AS "used!"
            FROM host_disks
            WHERE sampled_at >= $1 AND sampled_at < $2
            GROUP BY host, mount
            HAVING max(sampled_at) - min(sampled_at) >= interval '6 hours'
            ORDER BY host, mount
            LIMIT $3
            "#,
            since,
            until,
            MAX_ROWS
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read how disks fill"))?;
        let growth = |row: (String, String, Option<f64>, i64, i64)| {
            let (host, mount, per_day, total, used) = row;
            let bytes_per_day = per_day.unwrap_or_default();
            let left = (total - used).max(0) as f64;
            DiskGrowth {
                host,
                mount,
                bytes_per_day,
                full_in_days: (bytes_per_day > 1.0).then(|| left / bytes_per_day),
            }
        };
        Ok(rows
            .into_iter()
            .map(|row| growth((row.host, row.mount, row.per_day, row.total, row.used)))
            .collect())
    }
}
