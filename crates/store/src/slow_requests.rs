//! The slowest requests of a window, a page at a time. A page begins behind the last row of the one before, by its values and
//! not by its number; so rows that arrive meanwhile shift nothing.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Store;
use crate::error::StoreError;
use crate::windows::{MetricFilter, Window};

/// No request below this is slow: the index does not have it. In milliseconds.
pub const MIN_SLOW_MS: f64 = 50.0;

/// A slow request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SlowRequest {
    /// When it was answered.
    pub occurred_at: DateTime<Utc>,
    /// Whose it was.
    pub tenant: Option<String>,
    /// Who answered.
    pub service: String,
    /// The HTTP method.
    pub method: String,
    /// The route.
    pub endpoint: String,
    /// The HTTP status.
    pub status_code: Option<i16>,
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
    /// What went wrong.
    pub error: Option<String>,
    #[serde(skip)]
    span_key: i64,
}

/// A place in the list, behind a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowRequestCursor {
    response_time_ms: f64,
    occurred_at: DateTime<Utc>,
    span_key: i64,
}

impl SlowRequest {
    /// The place behind this one.
    pub fn cursor(&self) -> SlowRequestCursor {
        SlowRequestCursor {
            response_time_ms: self.response_time_ms,
            occurred_at: self.occurred_at,
            span_key: self.span_key,
        }
    }
}

impl fmt::Display for SlowRequestCursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.occurred_at.timestamp_micros();
        write!(out, "{:x}-{micros:x}-{:x}", self.response_time_ms.to_bits(), self.span_key)
    }
}

impl FromStr for SlowRequestCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no cursor; write the next_cursor of the page before");
        let parts: Vec<u64> = text
            .split('-')
            .map(|part| u64::from_str_radix(part, 16))
            .collect::<Result<_, _>>()
            .map_err(|_| wrong())?;
        let [bits, micros, span_key] = parts[..] else { return Err(wrong()) };
        let occurred_at = DateTime::from_timestamp_micros(micros.cast_signed()).ok_or_else(wrong)?;
        Ok(Self { response_time_ms: f64::from_bits(bits), occurred_at, span_key: span_key.cast_signed() })
    }
}

impl Store {
    /// Requests that took at least `threshold_ms`, which is at least [`MIN_SLOW_MS`]: the slowest first.
    pub async fn slow_requests(
        &self,
        window: Window,
        filter: &MetricFilter,
        threshold_ms: f64,
        behind: Option<SlowRequestCursor>,
        limit: i64,
    ) -> Result<Vec<SlowRequest>, StoreError> {
        let behind = behind.unwrap_or(SlowRequestCursor {
            response_time_ms: f64::INFINITY,
            occurred_at: DateTime::<Utc>::UNIX_EPOCH,
            span_key: 0,
        });
        let slow = sqlx::query_as!(
            SlowRequest,
            r#"
            SELECT occurred_at, tenant, service, method, endpoint, status_code, response_time_ms, user_id, client_address,
                   trace_id, db_query_count, db_query_time_ms, error, span_key AS "span_key!"
            FROM performance_metrics
            WHERE response_time_ms >= 50 AND response_time_ms >= $1
              AND occurred_at >= $2 AND occurred_at < $3
              AND ($4::text IS NULL OR tenant = $4)
              AND ($5::text IS NULL OR service = $5)
              AND ($6::text IS NULL OR endpoint = $6)
              AND ($7::text IS NULL OR method = $7)
              AND (response_time_ms, occurred_at, span_key) < ($8::float8, $9::timestamptz, $10::bigint)
            ORDER BY response_time_ms DESC, occurred_at DESC, span_key DESC
            LIMIT $11
            "#,
            threshold_ms.max(MIN_SLOW_MS),
            window.since,
            window.until.unwrap_or(DateTime::<Utc>::MAX_UTC),
            filter.tenant.as_deref(),
            filter.service.as_deref(),
            filter.endpoint.as_deref(),
            filter.method.as_deref(),
            behind.response_time_ms,
            behind.occurred_at,
            behind.span_key,
            limit
        );
        slow.fetch_all(&self.pool).await.map_err(StoreError::query("look for slow requests"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = SlowRequestCursor {
            response_time_ms: 0.1 + 0.2,
            occurred_at: DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap(),
            span_key: i64::MIN,
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "1", "1-2", "1-2-3-4", "x-y-z", "1-7fffffffffffffff-3"] {
            assert!(wrong.parse::<SlowRequestCursor>().is_err(), "{wrong}");
        }
    }
}
