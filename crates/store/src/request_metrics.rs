//! `performance_metrics`: requests that services have answered.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::Store;
use crate::error::StoreError;
use crate::partitions::{REQUESTS, is_without_partition};

/// Endpoints that one look returns: the busiest.
const MAX_ENDPOINTS: i64 = 500;
/// Services that one look returns: the busiest.
const MAX_SERVICES: i64 = 1000;

/// One request.
#[derive(Clone, Debug)]
pub struct RequestMetric {
    /// When it was answered.
    pub occurred_at: DateTime<Utc>,
    /// Whose it was, in a service for many.
    pub tenant: Option<String>,
    /// Who answered.
    pub service: String,
    /// The route, such as `/users/{id}`.
    pub endpoint: String,
    /// The HTTP method.
    pub method: String,
    /// The HTTP status.
    pub status_code: i16,
    /// How long it took.
    pub response_time_ms: f64,
    /// Who asked.
    pub user_id: Option<String>,
    /// From where.
    pub client_address: Option<String>,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// Database queries.
    pub db_query_count: Option<i32>,
    /// Their time together.
    pub db_query_time_ms: Option<f64>,
    /// Lookups that a cache answered.
    pub cache_hits: Option<i32>,
    /// Lookups that it did not.
    pub cache_misses: Option<i32>,
    /// CPU use of the host at that moment.
    pub cpu_percent: Option<f64>,
    /// Memory use of the host at that moment.
    pub memory_percent: Option<f64>,
    /// What went wrong.
    pub error: Option<String>,
}

/// How many requests of a service failed.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorRate {
    /// The service.
    pub service: String,
    /// Its requests.
    pub count: i64,
    /// Those with a status of 500 or above.
    pub errors: i64,
}

/// How long an endpoint takes.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointTiming {
    /// The service.
    pub service: String,
    /// The HTTP method.
    pub method: String,
    /// The route.
    pub endpoint: String,
    /// Its requests.
    pub count: i64,
    /// Those with a status of 500 or above.
    pub errors: i64,
    /// Mean.
    pub mean_ms: f64,
    /// Standard deviation; 0 with one request.
    pub stddev_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// All requests of a window. Times are absent when there was none.
#[derive(Clone, Debug, Serialize)]
pub struct RequestSummary {
    /// How many.
    pub count: i64,
    /// Those with a status of 500 or above.
    pub errors: i64,
    /// Mean.
    pub mean_ms: Option<f64>,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
}

macro_rules! column {
    ($rows:expr, $field:ident) => {
        &$rows.iter().map(|row| row.$field.clone()).collect::<Vec<_>>()[..]
    };
}

impl Store {
    /// Stores all rows or none; says how many.
    pub async fn insert_request_metrics(&self, rows: &[RequestMetric]) -> Result<u64, StoreError> {
        self.ensure_days(REQUESTS, rows.iter().map(|row| row.occurred_at)).await?;
        let inserted = match self.insert(rows).await {
            Err(error) if is_without_partition(&error) => {
                // Another process has dropped a day that this one knows.
                self.forget_days(REQUESTS);
                self.ensure_days(REQUESTS, rows.iter().map(|row| row.occurred_at)).await?;
                self.insert(rows).await
            }
            inserted => inserted,
        };
        inserted.map_err(StoreError::query("store request metrics"))
    }

    async fn insert(&self, rows: &[RequestMetric]) -> sqlx::Result<u64> {
        let insert = sqlx::query!(
            r#"
            INSERT INTO performance_metrics (
                occurred_at, tenant, service, endpoint, method, status_code, response_time_ms, user_id, client_address,
                trace_id, db_query_count, db_query_time_ms, cache_hits, cache_misses, cpu_percent, memory_percent, error
            )
            SELECT * FROM unnest(
                $1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[],
                $7::double precision[], $8::text[], $9::text[], $10::text[], $11::integer[],
                $12::double precision[], $13::integer[], $14::integer[], $15::double precision[],
                $16::double precision[], $17::text[]
            )
            "#,
            column!(rows, occurred_at),
            column!(rows, tenant) as &[Option<String>],
            column!(rows, service),
            column!(rows, endpoint),
            column!(rows, method),
            column!(rows, status_code),
            column!(rows, response_time_ms),
            column!(rows, user_id) as &[Option<String>],
            column!(rows, client_address) as &[Option<String>],
            column!(rows, trace_id) as &[Option<String>],
            column!(rows, db_query_count) as &[Option<i32>],
            column!(rows, db_query_time_ms) as &[Option<f64>],
            column!(rows, cache_hits) as &[Option<i32>],
            column!(rows, cache_misses) as &[Option<i32>],
            column!(rows, cpu_percent) as &[Option<f64>],
            column!(rows, memory_percent) as &[Option<f64>],
            column!(rows, error) as &[Option<String>],
        );
        Ok(insert.execute(&self.pool).await?.rows_affected())
    }

    /// Requests and failures per service in `[since, until)`: the 1000 busiest.
    pub async fn error_rates(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<ErrorRate>, StoreError> {
        let rates = sqlx::query_as!(
            ErrorRate,
            r#"
            SELECT service, count(*) AS "count!", count(*) FILTER (WHERE status_code >= 500) AS "errors!"
            FROM performance_metrics
            WHERE occurred_at >= $1 AND occurred_at < $2
            GROUP BY service
            ORDER BY count(*) DESC, service
            LIMIT $3
            "#,
            since,
            until,
            MAX_SERVICES
        );
        rates.fetch_all(&self.pool).await.map_err(StoreError::query("read error rates"))
    }

    /// How long each endpoint took in `[since, until)`: the 500 busiest.
    pub async fn response_times(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<EndpointTiming>, StoreError> {
        let timings = sqlx::query_as!(
            EndpointTiming,
            r#"
            SELECT service, method, endpoint,
                   count(*) AS "count!",
                   count(*) FILTER (WHERE status_code >= 500) AS "errors!",
                   avg(response_time_ms) AS "mean_ms!",
                   coalesce(stddev_samp(response_time_ms), 0) AS "stddev_ms!",
                   percentile_cont(0.50) WITHIN GROUP (ORDER BY response_time_ms) AS "p50_ms!",
                   percentile_cont(0.95) WITHIN GROUP (ORDER BY response_time_ms) AS "p95_ms!",
                   percentile_cont(0.99) WITHIN GROUP (ORDER BY response_time_ms) AS "p99_ms!",
                   max(response_time_ms) AS "max_ms!"
            FROM performance_metrics
            WHERE occurred_at >= $1 AND occurred_at < $2
            GROUP BY service, method, endpoint
            ORDER BY count(*) DESC, service, method, endpoint
            LIMIT $3
            "#,
            since,
            until,
            MAX_ENDPOINTS
        );
        timings.fetch_all(&self.pool).await.map_err(StoreError::query("read response times"))
    }

    /// All requests in `[since, until)`.
    pub async fn request_summary(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<RequestSummary, StoreError> {
        let summary = sqlx::query_as!(
            RequestSummary,
            r#"
            SELECT count(*) AS "count!",
                   count(*) FILTER (WHERE status_code >= 500) AS "errors!",
                   avg(response_time_ms) AS mean_ms,
                   percentile_cont(0.50) WITHIN GROUP (ORDER BY response_time_ms) AS p50_ms,
                   percentile_cont(0.95) WITHIN GROUP (ORDER BY response_time_ms) AS p95_ms,
                   percentile_cont(0.99) WITHIN GROUP (ORDER BY response_time_ms) AS p99_ms,
                   max(response_time_ms) AS max_ms
            FROM performance_metrics
            WHERE occurred_at >= $1 AND occurred_at < $2
            "#,
            since,
            until
        );
        summary.fetch_one(&self.pool).await.map_err(StoreError::query("summarise requests"))
    }
}
