//! `database_spans`: calls of databases and caches, as services tell of them, with the tables that are made of them where
//! they come in: the texts of queries, slow ones, and those that one request repeats.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::Store;
use crate::batch::{Batch, Table};
use crate::bounds;
use crate::error::StoreError;
use crate::request_metrics::{OPERATION, RequestMetric, SpanKey};
use crate::series::{SeriesId, SeriesKey, Subject};
use crate::traces::{self, MAX_OF_TRACE, Placed, Repeated, TracedCall, TracedRequest, Used};

/// How exactly it is known when a query was seen last.
const SEEN: TimeDelta = TimeDelta::minutes(1);
/// Queries that are remembered. Beyond that all are noted again.
const MAX_REMEMBERED: usize = 100_000;

/// One call of a database or cache.
#[derive(Clone, Debug)]
pub struct DatabaseCall {
    /// When it ended.
    pub occurred_at: DateTime<Utc>,
    /// Of the trace.
    pub trace_id: [u8; 16],
    /// Of this span of it.
    pub span_id: [u8; 8],
    /// Of the span that it is part of.
    pub parent_span_id: Option<[u8; 8]>,
    /// A hash of the name of the library that tells of it (its instrumentation scope).
    pub scope_key: i32,
    /// Who asked.
    pub service: String,
    /// For whom, where the span or its resource say so.
    pub tenant: Option<String>,
    /// What was asked, such as `postgresql` or `redis`.
    pub system: String,
    /// The same for the same query.
    pub fingerprint: i64,
    /// The query without literals.
    pub text: String,
    /// Its command and targets.
    pub summary: String,
    /// How long it took; neither negative nor infinite.
    pub duration_ms: f64,
    /// Rows that came back.
    pub rows_returned: Option<i64>,
    /// Whether a cache had it.
    pub cache_hit: Option<bool>,
    /// It failed.
    pub is_error: bool,
    /// How.
    pub error: Option<String>,
}

impl DatabaseCall {
    fn traced(&self) -> TracedCall<'_> {
        TracedCall {
            span_id: i64::from_be_bytes(self.span_id),
            parent_span_id: self.parent_span_id.map(i64::from_be_bytes),
            scope_key: self.scope_key,
            service: &self.service,
            tenant: self.tenant.as_deref(),
            system: &self.system,
            fingerprint: self.fingerprint,
            ended_at: self.occurred_at,
            duration_ms: self.duration_ms,
            cache_hit: self.cache_hit,
        }
    }
}

/// Columns as [`Store::add_traced`] writes them.
pub(crate) const SPAN_COLUMNS: &str = "occurred_at, trace_id, span_id, parent_span_id, service, tenant, system, \
     fingerprint, series_id, duration_ms, is_error, is_nested, cache_hit, scope_key";
pub(crate) const SLOW_COLUMNS: &str = "occurred_at, span_key, fingerprint, tenant, service, method, endpoint, system, \
     execution_time_ms, rows_returned, trace_id, error";
pub(crate) const REPEATED_COLUMNS: &str = "occurred_at, span_key, fingerprint, tenant, service, method, endpoint, \
     calls, total_ms, trace_id";
pub(crate) const OPEN_COLUMNS: &str = "trace_id";

/// When each query was noted last.
#[derive(Debug, Default)]
pub(crate) struct KnownQueries(Mutex<HashMap<i64, DateTime<Utc>>>);

impl KnownQueries {
    fn is_fresh(&self, fingerprint: i64, at: DateTime<Utc>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&fingerprint).is_some_and(|noted| at < *noted + SEEN)
    }

    fn insert(&self, noted: impl Iterator<Item = (i64, DateTime<Utc>)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.extend(noted);
    }
}

/// Requests and the calls that were made for them. What a request has used is counted where both are here; where they are
/// not, [`Store::link_traces`] does it later.
#[derive(Debug, Default)]
pub struct TracedBatch {
    requests: Vec<RequestMetric>,
    calls: Vec<DatabaseCall>,
    placed: Vec<Placed>,
    /// Queries that came many times in a request, by its index.
    repeated: Vec<(usize, Repeated)>,
    /// Traces with calls whose request is not here.
    open: Vec<Uuid>,
}

impl TracedBatch {
    /// Finds out what belongs together. That takes CPU time: call it off the threads of the async runtime.
    pub fn new(mut requests: Vec<RequestMetric>, calls: Vec<DatabaseCall>) -> Self {
        let mut placed = vec![Placed::default(); calls.len()];
        let (mut repeated, mut open) = (Vec::new(), Vec::new());
        for (trace_id, trace) in traces(&requests, &calls) {
            if trace.calls.len() + trace.requests.len() > MAX_OF_TRACE as usize {
                continue;
            }
            let of_trace: Vec<_> = trace.calls.iter().map(|index| calls[*index].traced()).collect();
            let asked: Vec<_> = trace.requests.iter().map(|index| traced(&requests[*index])).collect();
            let answers = traces::place(&asked, &of_trace);
            let used = traces::account(asked.len(), &of_trace, &answers);
            for (answer, index) in answers.iter().zip(&trace.calls) {
                placed[*index] =
                    Placed { request: answer.request.map(|request| trace.requests[request]), ..*answer };
            }
            for (used, index) in used.into_iter().zip(&trace.requests) {
                use_of(&mut requests[*index], &used);
                repeated.extend(used.repeated.into_iter().map(|repeated| (*index, repeated)));
            }
            if answers.iter().any(|answer| answer.request.is_none()) {
                open.push(Uuid::from_bytes(trace_id));
            }
        }
        Self { requests, calls, placed, repeated, open }
    }
}

impl Store {
    /// Puts requests and calls into a batch. A call of at least `slow_query_ms` is slow.
    pub async fn add_traced(
        &self,
        batch: &mut Batch,
        traced: &TracedBatch,
        slow_query_ms: f64,
    ) -> Result<(), StoreError> {
        let TracedBatch { requests, calls, placed, repeated, open } = traced;
        for trace_id in open {
            batch.open_trace(*trace_id);
        }
        for (index, repeated) in repeated {
            add_repeated(batch, &requests[*index], *repeated);
        }
        for (number, request) in requests.iter().enumerate() {
            self.add_request(batch, request).await?;
            pause(number).await;
        }
        let mut named = Vec::with_capacity(calls.len());
        for (number, (call, placed)) in calls.iter().zip(placed).enumerate() {
            let request = placed.request.map(|index| &requests[index]);
            // Of queries that are counted as `(other)` the text would be of no use.
            if !self.add_call(batch, call, placed.is_nested, request).await? {
                named.push(call);
            }
            if call.duration_ms >= slow_query_ms && !placed.is_nested {
                add_slow(batch, call, request);
            }
            pause(number).await;
        }
        self.note_queries(&named).await
    }

    /// Puts a call into a batch. Returns whether its query is counted as `(other)`.
    async fn add_call(
        &self,
        batch: &mut Batch,
        call: &DatabaseCall,
        is_nested: bool,
        request: Option<&RequestMetric>,
    ) -> Result<bool, StoreError> {
        let series = SeriesKey {
            subject: Subject::Query,
            service: call.service.clone(),
            tenant: tenant(call, request).map(str::to_owned),
            method: request.map(|request| request.method.clone()),
            endpoint: request.map(|request| request.endpoint.clone()),
            fingerprint: Some(call.fingerprint),
        };
        let SeriesId { id: series_id, is_other } = self.series_id(&batch.owner, series).await?;
        let traced = call.traced();
        let rows = batch.rows(Table::DatabaseSpans, call.occurred_at);
        rows.begin(14);
        rows.put(call.occurred_at);
        rows.put(Uuid::from_bytes(call.trace_id));
        rows.put(traced.span_id);
        rows.put(traced.parent_span_id);
        rows.put(call.service.as_str());
        rows.put(call.tenant.as_deref());
        rows.put(call.system.as_str());
        rows.put(call.fingerprint);
        rows.put(series_id);
        rows.put(bounds::time_ms(call.duration_ms));
        rows.put(call.is_error);
        rows.put(is_nested);
        rows.put(call.cache_hit);
        rows.put(call.scope_key);
        batch.note(Subject::Query, call.occurred_at);
        Ok(is_other)
    }

    /// Keeps the text of each query, and when it was seen.
    async fn note_queries(&self, calls: &[&DatabaseCall]) -> Result<(), StoreError> {
        // In the order of their keys, so that two processes do not wait for each other in a ring.
        let mut latest: BTreeMap<i64, &DatabaseCall> = BTreeMap::new();
        for call in calls {
            if !self.known_queries.is_fresh(call.fingerprint, call.occurred_at) {
                let known = latest.entry(call.fingerprint).or_insert(call);
                if known.occurred_at < call.occurred_at {
                    *known = call;
                }
            }
        }
        if latest.is_empty() {
            return Ok(());
        }
        let note = sqlx::query!(
            "INSERT INTO query_texts (fingerprint, system, text, summary, first_seen_at, last_seen_at)
             SELECT fingerprint, system, text, summary, seen_at, seen_at
             FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
                  AS seen (fingerprint, system, text, summary, seen_at)
             WHERE EXISTS (SELECT FROM metric_series WHERE metric_series.fingerprint = seen.fingerprint)
             ORDER BY fingerprint
             ON CONFLICT (fingerprint) DO UPDATE
             SET first_seen_at = least(query_texts.first_seen_at, excluded.first_seen_at),
                 last_seen_at = greatest(query_texts.last_seen_at, excluded.last_seen_at)",
            &latest.keys().copied().collect::<Vec<_>>(),
            &latest.values().map(|call| call.system.clone()).collect::<Vec<_>>(),
            &latest.values().map(|call| call.text.clone()).collect::<Vec<_>>(),
            &latest.values().map(|call| call.summary.clone()).collect::<Vec<_>>(),
            &latest.values().map(|call| call.occurred_at).collect::<Vec<_>>()
        );
        note.execute(&self.pool).await.map_err(StoreError::query("keep the text of a query"))?;
        self.known_queries.insert(latest.into_iter().map(|(print, call)| (print, call.occurred_at)));
        Ok(())
    }
}

/// Indices of what belongs to a trace.
#[derive(Default)]
struct Trace {
    requests: Vec<usize>,
    calls: Vec<usize>,
}

/// Traces that have calls.
fn traces(requests: &[RequestMetric], calls: &[DatabaseCall]) -> HashMap<[u8; 16], Trace> {
    let mut traces: HashMap<[u8; 16], Trace> = HashMap::new();
    for (index, call) in calls.iter().enumerate() {
        traces.entry(call.trace_id).or_default().calls.push(index);
    }
    if !traces.is_empty() {
        let asked = requests.iter().enumerate().filter(|(_, request)| request.method != OPERATION);
        for (index, request) in asked {
            let trace_id = request.trace_id.as_deref().and_then(|text| Uuid::try_parse(text).ok());
            if let Some(trace) = trace_id.and_then(|id| traces.get_mut(id.as_bytes())) {
                trace.requests.push(index);
            }
        }
    }
    traces
}

fn traced(request: &RequestMetric) -> TracedRequest<'_> {
    TracedRequest {
        service: &request.service,
        tenant: request.tenant.as_deref(),
        began_at: began_at(request.occurred_at, request.response_time_ms),
        ended_at: request.occurred_at,
    }
}

/// When what took so long began.
pub(crate) fn began_at(ended_at: DateTime<Utc>, duration_ms: f64) -> DateTime<Utc> {
    // A float becomes the nearest number that there is; years are far below it.
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let micros = (duration_ms * 1e3) as i64;
    ended_at.checked_sub_signed(TimeDelta::microseconds(micros)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

fn tenant<'a>(call: &'a DatabaseCall, request: Option<&'a RequestMetric>) -> Option<&'a str> {
    request.and_then(|request| request.tenant.as_deref()).or(call.tenant.as_deref())
}

/// Writes into a request what it has used.
fn use_of(request: &mut RequestMetric, used: &Used) {
    request.db_query_count = used.db_query_count.or(request.db_query_count);
    request.db_query_time_ms = used.db_query_time_ms.or(request.db_query_time_ms);
    request.cache_hits = used.cache_hits.or(request.cache_hits);
    request.cache_misses = used.cache_misses.or(request.cache_misses);
}

/// Rows that are put into a batch at a time. Others on this thread go on in between.
const ROWS_AT_A_TIME: usize = 500;

async fn pause(row: usize) {
    if row % ROWS_AT_A_TIME == ROWS_AT_A_TIME - 1 {
        tokio::task::yield_now().await;
    }
}

fn add_repeated(batch: &mut Batch, request: &RequestMetric, repeated: Repeated) {
    let rows = batch.rows(Table::RepeatedQueries, request.occurred_at);
    rows.begin(10);
    rows.put(request.occurred_at);
    rows.put(request.key.value());
    rows.put(repeated.fingerprint);
    rows.put(request.tenant.as_deref());
    rows.put(request.service.as_str());
    rows.put(request.method.as_str());
    rows.put(request.endpoint.as_str());
    rows.put(repeated.calls);
    rows.put(bounds::time_ms(repeated.total_ms));
    rows.put(request.trace_id.as_deref());
}

fn add_slow(batch: &mut Batch, call: &DatabaseCall, request: Option<&RequestMetric>) {
    let rows = batch.rows(Table::SlowQueries, call.occurred_at);
    rows.begin(12);
    rows.put(call.occurred_at);
    rows.put(SpanKey::of_span(&call.trace_id, &call.span_id).value());
    rows.put(call.fingerprint);
    rows.put(tenant(call, request));
    rows.put(call.service.as_str());
    rows.put(request.map(|request| request.method.as_str()));
    rows.put(request.map(|request| request.endpoint.as_str()));
    rows.put(call.system.as_str());
    rows.put(bounds::time_ms(call.duration_ms));
    rows.put(call.rows_returned);
    rows.put(Uuid::from_bytes(call.trace_id).simple().to_string().as_str());
    rows.put(call.error.as_deref());
}
