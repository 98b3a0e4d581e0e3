//! `performance_metrics`: requests that services have answered, a row each. Windows over many are read from rollups.

use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::xxh3_64;

use crate::Store;
use crate::batch::{Batch, Table};
use crate::bounds;
use crate::error::StoreError;
use crate::series::{SeriesKey, Subject};

/// Tells a span from all others of the same microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanKey(i64);

impl SpanKey {
    /// Of a span of OpenTelemetry, which has the same ids whenever it is sent.
    pub fn of_span(trace_id: &[u8], span_id: &[u8]) -> Self {
        Self(xxh3_64(&[trace_id, span_id].concat()).cast_signed())
    }

    /// Of what has no id: another each time.
    pub fn random() -> Self {
        Self(uuid::Uuid::now_v7().as_u64_pair().1.cast_signed())
    }

    pub(crate) fn value(self) -> i64 {
        self.0
    }
}

/// The method of what a service has timed by hand: its endpoint is a name such as `checkout`. It is listed among the
/// endpoints, and counts neither into sums over requests nor as what a query was made for.
pub const OPERATION: &str = "OPERATION";

/// One request.
#[derive(Clone, Debug)]
pub struct RequestMetric {
    /// When it was answered.
    pub occurred_at: DateTime<Utc>,
    /// Tells it from others: the same request that comes twice is stored once. See [`SpanKey`].
    pub key: SpanKey,
    /// Whose it was, in a service for many.
    pub tenant: Option<String>,
    /// Who answered.
    pub service: String,
    /// The route, such as `/users/{id}`.
    pub endpoint: String,
    /// The HTTP method.
    pub method: String,
    /// The HTTP status, 100 to 599; none when the client went away before.
    pub status_code: Option<i16>,
    /// The service failed; a client's fault is none.
    pub is_error: bool,
    /// How long it took; neither negative nor infinite.
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

/// Columns as [`Store::add_request`] writes them.
pub(crate) const COLUMNS: &str = "occurred_at, span_key, series_id, tenant, service, endpoint, method, status_code, \
     is_error, response_time_ms, user_id, client_address, trace_id, db_query_count, db_query_time_ms, cache_hits, \
     cache_misses, cpu_percent, memory_percent, error";
const COLUMN_COUNT: i16 = 20;

impl Store {
    /// Puts a request into a batch.
    pub async fn add_request(&self, batch: &mut Batch, request: &RequestMetric) -> Result<(), StoreError> {
        let series = SeriesKey {
            subject: Subject::Request,
            service: request.service.clone(),
            tenant: request.tenant.clone(),
            method: Some(request.method.clone()),
            endpoint: Some(request.endpoint.clone()),
            fingerprint: None,
        };
        let series_id = self.series_id(&batch.owner, series).await?.id;
        batch.note(Subject::Request, request.occurred_at);
        let rows = batch.rows(Table::Requests, request.occurred_at);
        rows.begin(COLUMN_COUNT);
        rows.put(request.occurred_at);
        rows.put(request.key.value());
        rows.put(series_id);
        rows.put(request.tenant.as_deref());
        rows.put(request.service.as_str());
        rows.put(request.endpoint.as_str());
        rows.put(request.method.as_str());
        rows.put(request.status_code);
        rows.put(request.is_error);
        rows.put(bounds::time_ms(request.response_time_ms));
        rows.put(request.user_id.as_deref());
        rows.put(request.client_address.as_deref());
        rows.put(request.trace_id.as_deref());
        rows.put(request.db_query_count.map(bounds::count));
        rows.put(request.db_query_time_ms.map(bounds::time_ms));
        rows.put(request.cache_hits.map(bounds::count));
        rows.put(request.cache_misses.map(bounds::count));
        rows.put(request.cpu_percent);
        rows.put(request.memory_percent);
        rows.put(request.error.as_deref());
        Ok(())
    }
}
