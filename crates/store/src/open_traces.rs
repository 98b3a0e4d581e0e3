//! `open_traces`: traces whose calls came in another batch than their request. Exporters send what has ended every few
//! seconds, so a long request's queries are here before it is. Each such trace is read again as a whole, a few times, and
//! what its requests have used is written into them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::Store;
use crate::batch::note_minutes;
use crate::database_spans::began_at;
use crate::error::StoreError;
use crate::rollups::Resolution;
use crate::series::{SeriesKey, SeriesOwner, Subject};
use crate::traces::{self, MAX_OF_TRACE, Repeated, TracedCall, TracedRequest};

/// Traces that are read at a time.
const GROUP: i64 = 500;
/// How long after each try the next one is made, in seconds. The first is made 2 seconds after the calls have come.
const NEXT_TRY_S: [f64; 3] = [10.0, 60.0, 600.0];

/// What a look at open traces has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// Traces that were looked at.
    pub traces: u64,
    /// Others will be due soon.
    pub are_waiting: bool,
}

/// A trace that is due.
struct Due {
    trace_id: Uuid,
    /// Of the row that was tried least.
    tries: i16,
}

struct Call {
    trace_id: Uuid,
    span_id: i64,
    occurred_at: DateTime<Utc>,
    parent_span_id: Option<i64>,
    scope_key: i32,
    service: String,
    tenant: Option<String>,
    system: String,
    fingerprint: i64,
    duration_ms: f64,
    cache_hit: Option<bool>,
    series_id: i32,
    /// Of its series.
    owner: String,
    is_nested: bool,
}

#[derive(Clone)]
struct Request {
    trace_id: String,
    occurred_at: DateTime<Utc>,
    span_key: i64,
    tenant: Option<String>,
    service: String,
    method: String,
    endpoint: String,
    response_time_ms: f64,
    db_query_count: Option<i32>,
    db_query_time_ms: Option<f64>,
    cache_hits: Option<i32>,
    cache_misses: Option<i32>,
}

impl Call {
    fn traced(&self) -> TracedCall<'_> {
        TracedCall {
            span_id: self.span_id,
            parent_span_id: self.parent_span_id,
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

    /// That of the request that it was made for, or its own.
    fn tenant_within(&self, request: Option<&Request>) -> Option<String> {
        request.and_then(|request| request.tenant.clone()).or_else(|| self.tenant.clone())
    }
}

impl Request {
    fn traced(&self) -> TracedRequest<'_> {
        TracedRequest {
            service: &self.service,
            tenant: self.tenant.as_deref(),
            began_at: began_at(self.occurred_at, self.response_time_ms),
            ended_at: self.occurred_at,
        }
    }
}

/// What has to be written.
#[derive(Default)]
struct Changes {
    calls: Vec<ChangedCall>,
    requests: Vec<ChangedRequest>,
    repeated: Vec<RepeatedInRequest>,
    /// Traces with a call that still has no request, and how often they were tried.
    open: Vec<(Uuid, i16)>,
    minutes: BTreeSet<(Subject, DateTime<Utc>)>,
}

struct ChangedCall {
    trace_id: Uuid,
    span_id: i64,
    occurred_at: DateTime<Utc>,
    series_id: i32,
    is_nested: bool,
    span_key: i64,
    tenant: Option<String>,
    method: Option<String>,
    endpoint: Option<String>,
}

struct ChangedRequest {
    occurred_at: DateTime<Utc>,
    span_key: i64,
    db_query_count: Option<i32>,
    db_query_time_ms: Option<f64>,
    cache_hits: Option<i32>,
    cache_misses: Option<i32>,
}

struct RepeatedInRequest {
    request: Request,
    repeated: Repeated,
}

impl Store {
    /// Looks at the traces that are due: counts their calls into their requests, and tells queries for which endpoint
    /// they were made. Safe to call from many processes: one at a time does it.
    pub async fn link_traces(&self) -> Result<Linked, StoreError> {
        let mut linked = Linked::default();
        loop {
            let tried = match self.link_group(GROUP).await {
                Err(error) if !error.is_unavailable() => self.link_one_by_one(&error).await?,
                tried => tried?,
            };
            // Whoever is at it may leave something that is not due yet.
            let Some(tried) = tried else {
                return Ok(Linked { are_waiting: true, ..linked });
            };
            linked.traces += tried;
            if tried < GROUP.unsigned_abs() {
                let waiting = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM open_traces) AS "waiting!""#);
                linked.are_waiting =
                    waiting.fetch_one(&self.pool).await.map_err(StoreError::query("look for open traces"))?;
                return Ok(linked);
            }
        }
    }

    /// A trace of the group cannot be joined: it is given up, and its calls stay what they are without a request. The
    /// others are joined.
    async fn link_one_by_one(&self, error: &StoreError) -> Result<Option<u64>, StoreError> {
        tracing::warn!(
            error = error.reason(),
            "traces of a group cannot be joined together; each is tried alone"
        );
        let mut tried = 0;
        while tried < GROUP.unsigned_abs() {
            match self.link_group(1).await {
                Ok(Some(0)) => break,
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) if error.is_unavailable() => return Err(error),
                Err(error) => {
                    let reason = error.reason();
                    let trace_id = self.give_up_first().await?;
                    tracing::error!(
                        ?trace_id,
                        error = reason,
                        "a trace cannot be joined, and is given up: {reason}"
                    );
                }
            }
            tried += 1;
        }
        Ok(Some(tried))
    }

    async fn give_up_first(&self) -> Result<Option<Uuid>, StoreError> {
        let first = sqlx::query_scalar!(
            "DELETE FROM open_traces WHERE trace_id IN (
                 SELECT trace_id FROM open_traces WHERE next_try_at <= now() ORDER BY next_try_at LIMIT 1
             )
             RETURNING trace_id"
        );
        first.fetch_optional(&self.pool).await.map_err(StoreError::query("give up an open trace"))
    }

    /// `None` while another process is at it.
    async fn link_group(&self, most: i64) -> Result<Option<u64>, StoreError> {
        let failed = || StoreError::query("look at open traces");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let alone = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_xact_lock(hashtext('dogwatch traces')) AS "alone!""#
        );
        if !alone.fetch_one(&mut *transaction).await.map_err(failed())? {
            return Ok(None);
        }
        // What comes from here on is noted anew.
        let due = sqlx::query_as!(
            Due,
            r#"
            WITH due AS (
                DELETE FROM open_traces WHERE trace_id IN (
                    SELECT trace_id FROM open_traces WHERE next_try_at <= now() ORDER BY next_try_at LIMIT $1
                )
                RETURNING trace_id, tries
            )
            SELECT trace_id, min(tries) AS "tries!" FROM due GROUP BY trace_id
            "#,
            most
        );
        let due = due.fetch_all(&mut *transaction).await.map_err(failed())?;
        if due.is_empty() {
            return Ok(Some(0));
        }
        let ids: Vec<Uuid> = due.iter().map(|due| due.trace_id).collect();
        let calls = calls(&mut transaction, &ids).await.map_err(failed())?;
        let requests = requests(&mut transaction, &ids, &calls).await.map_err(failed())?;
        let changes = self.changes(&due, calls, requests).await?;
        write(&mut transaction, changes).await.map_err(StoreError::query("join the parts of a trace"))?;
        transaction.commit().await.map_err(failed())?;
        Ok(Some(due.len() as u64))
    }

    async fn changes(
        &self,
        due: &[Due],
        calls: Vec<Call>,
        requests: Vec<Request>,
    ) -> Result<Changes, StoreError> {
        let mut by_trace: BTreeMap<Uuid, (Vec<Call>, Vec<Request>)> = BTreeMap::new();
        for call in calls {
            by_trace.entry(call.trace_id).or_default().0.push(call);
        }
        for request in requests {
            if let Ok(trace_id) = Uuid::try_parse(&request.trace_id) {
                by_trace.entry(trace_id).or_default().1.push(request);
            }
        }
        let mut changes = Changes::default();
        for Due { trace_id, tries } in due {
            let Some((calls, requests)) = by_trace.remove(trace_id) else { continue };
            // A trace may have thousands of calls: others on this thread go on in between.
            tokio::task::yield_now().await;
            if !self.change_trace(&mut changes, &calls, &requests).await? {
                changes.open.push((*trace_id, tries + 1));
            }
        }
        Ok(changes)
    }

    /// False when a call still has no request.
    async fn change_trace(
        &self,
        changes: &mut Changes,
        calls: &[Call],
        requests: &[Request],
    ) -> Result<bool, StoreError> {
        let of_trace: Vec<_> = calls.iter().map(Call::traced).collect();
        let asked: Vec<_> = requests.iter().map(Request::traced).collect();
        let places = traces::place(&asked, &of_trace);
        let used = traces::account(asked.len(), &of_trace, &places);
        for (call, place) in calls.iter().zip(&places) {
            let request = place.request.map(|index| &requests[index]);
            let series_id = match request {
                Some(request) => self.query_series(call, request).await?,
                None => call.series_id,
            };
            if (series_id, place.is_nested) != (call.series_id, call.is_nested) {
                changes.call(call, series_id, place.is_nested, request);
            }
        }
        for (request, used) in requests.iter().zip(used) {
            changes.request(request, used);
        }
        Ok(places.iter().all(|place| place.request.is_some()))
    }

    async fn query_series(&self, call: &Call, request: &Request) -> Result<i32, StoreError> {
        let key = SeriesKey {
            subject: Subject::Query,
            service: request.service.clone(),
            tenant: call.tenant_within(Some(request)),
            method: Some(request.method.clone()),
            endpoint: Some(request.endpoint.clone()),
            fingerprint: Some(call.fingerprint),
        };
        let owner = SeriesOwner::stored(&call.owner);
        Ok(self.series_id(&owner, key).await?.id)
    }
}

impl Changes {
    fn call(&mut self, call: &Call, series_id: i32, is_nested: bool, request: Option<&Request>) {
        self.minutes.insert((Subject::Query, Resolution::Minute.bucket(call.occurred_at)));
        let span_id = call.span_id.to_be_bytes();
        self.calls.push(ChangedCall {
            trace_id: call.trace_id,
            span_id: call.span_id,
            occurred_at: call.occurred_at,
            series_id,
            is_nested,
            span_key: crate::SpanKey::of_span(call.trace_id.as_bytes(), &span_id).value(),
            tenant: call.tenant_within(request),
            method: request.map(|request| request.method.clone()),
            endpoint: request.map(|request| request.endpoint.clone()),
        });
    }

    fn request(&mut self, request: &Request, used: traces::Used) {
        let new = ChangedRequest {
            occurred_at: request.occurred_at,
            span_key: request.span_key,
            db_query_count: used.db_query_count.or(request.db_query_count),
            db_query_time_ms: used.db_query_time_ms.or(request.db_query_time_ms),
            cache_hits: used.cache_hits.or(request.cache_hits),
            cache_misses: used.cache_misses.or(request.cache_misses),
        };
        // A sum in another order differs in its last digits.
        let is_as_long = match (new.db_query_time_ms, request.db_query_time_ms) {
            (Some(new), Some(old)) => (new - old).abs() < 1e-6,
            (new, old) => new == old,
        };
        let before = (request.db_query_count, request.cache_hits, request.cache_misses);
        if is_as_long && (new.db_query_count, new.cache_hits, new.cache_misses) == before {
            return;
        }
        self.minutes.insert((Subject::Request, Resolution::Minute.bucket(request.occurred_at)));
        self.requests.push(new);
        for repeated in used.repeated {
            self.repeated.push(RepeatedInRequest { request: request.clone(), repeated });
        }
    }
}

/// The calls of these traces.
async fn calls(transaction: &mut Transaction<'_, Postgres>, ids: &[Uuid]) -> sqlx::Result<Vec<Call>> {
    let calls = sqlx::query_as!(
        Call,
        r#"
        SELECT call.trace_id AS "trace_id!", span_id AS "span_id!", occurred_at AS "occurred_at!", parent_span_id,
               scope_key AS "scope_key!", service AS "service!", tenant, system AS "system!",
               fingerprint AS "fingerprint!", duration_ms AS "duration_ms!", cache_hit, series_id AS "series_id!",
               (SELECT owner FROM metric_series WHERE id = call.series_id) AS "owner!", is_nested AS "is_nested!"
        FROM unnest($1::uuid[]) AS due (trace_id),
             LATERAL (SELECT * FROM database_spans WHERE database_spans.trace_id = due.trace_id LIMIT $2) AS call
        "#,
        ids,
        i64::from(MAX_OF_TRACE)
    );
    calls.fetch_all(&mut **transaction).await
}

/// The requests of these traces that may have made the calls: none ended before them.
async fn requests(
    transaction: &mut Transaction<'_, Postgres>,
    ids: &[Uuid],
    calls: &[Call],
) -> sqlx::Result<Vec<Request>> {
    let Some(earliest) = calls.iter().map(|call| call.occurred_at).min() else { return Ok(Vec::new()) };
    let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
    let requests = sqlx::query_as!(
        Request,
        r#"
        SELECT request.trace_id AS "trace_id!", occurred_at AS "occurred_at!", span_key AS "span_key!", tenant,
               service AS "service!", method AS "method!", endpoint AS "endpoint!",
               response_time_ms AS "response_time_ms!", db_query_count, db_query_time_ms, cache_hits, cache_misses
        FROM unnest($1::text[]) AS due (trace_id),
             LATERAL (
                 SELECT * FROM performance_metrics
                 WHERE performance_metrics.trace_id = due.trace_id AND occurred_at >= $2 AND span_key IS NOT NULL
                   AND method <> 'OPERATION'
                 LIMIT $3
             ) AS request
        "#,
        &ids,
        earliest - TimeDelta::seconds(1),
        i64::from(MAX_OF_TRACE)
    );
    requests.fetch_all(&mut **transaction).await
}

/// Writes everything, table by table.
async fn write(transaction: &mut Transaction<'_, Postgres>, changes: Changes) -> sqlx::Result<()> {
    let Changes { calls, requests, repeated, open, minutes } = changes;
    write_requests(transaction, &requests).await?;
    write_calls(transaction, &calls).await?;
    write_repeated(transaction, &repeated).await?;
    note_minutes(transaction, &minutes).await?;
    let again: Vec<_> = open
        .into_iter()
        .filter_map(|(id, tries)| {
            let delay_s = NEXT_TRY_S.get(usize::try_from(tries).ok()?.checked_sub(1)?)?;
            Some((id, *delay_s, tries))
        })
        .collect();
    sqlx::query!(
        "INSERT INTO open_traces (trace_id, next_try_at, tries)
         SELECT trace_id, now() + make_interval(secs => delay), tries
         FROM unnest($1::uuid[], $2::float8[], $3::smallint[]) AS again (trace_id, delay, tries)",
        &again.iter().map(|(id, ..)| *id).collect::<Vec<_>>(),
        &again.iter().map(|(_, delay_s, _)| *delay_s).collect::<Vec<_>>(),
        &again.iter().map(|(.., tries)| *tries).collect::<Vec<_>>()
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// A field of each as an array, as a statement takes them.
macro_rules! column {
    ($rows:expr, $value:expr) => {
        &$rows.iter().map($value).collect::<Vec<_>>()
    };
}

async fn write_requests(
    transaction: &mut Transaction<'_, Postgres>,
    requests: &[ChangedRequest],
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE performance_metrics AS request
         SET db_query_count = used.db_query_count, db_query_time_ms = used.db_query_time_ms,
             cache_hits = used.cache_hits, cache_misses = used.cache_misses
         FROM unnest($1::timestamptz[], $2::bigint[], $3::integer[], $4::float8[], $5::integer[], $6::integer[])
              AS used (occurred_at, span_key, db_query_count, db_query_time_ms, cache_hits, cache_misses)
         WHERE request.occurred_at = used.occurred_at AND request.span_key = used.span_key",
        column!(requests, |request| request.occurred_at),
        column!(requests, |request| request.span_key),
        column!(requests, |request| request.db_query_count) as &[Option<i32>],
        column!(requests, |request| request.db_query_time_ms) as &[Option<f64>],
        column!(requests, |request| request.cache_hits) as &[Option<i32>],
        column!(requests, |request| request.cache_misses) as &[Option<i32>]
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

async fn write_calls(transaction: &mut Transaction<'_, Postgres>, calls: &[ChangedCall]) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE database_spans AS call
         SET series_id = placed.series_id, is_nested = placed.is_nested
         FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::integer[], $5::boolean[])
              AS placed (trace_id, span_id, occurred_at, series_id, is_nested)
         WHERE call.trace_id = placed.trace_id AND call.span_id = placed.span_id
           AND call.occurred_at = placed.occurred_at",
        column!(calls, |call| call.trace_id),
        column!(calls, |call| call.span_id),
        column!(calls, |call| call.occurred_at),
        column!(calls, |call| call.series_id),
        column!(calls, |call| call.is_nested)
    )
    .execute(&mut **transaction)
    .await?;
    // The driver's part of a slow query is the same query.
    let (nested, own): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.is_nested);
    sqlx::query!(
        "DELETE FROM slow_queries USING unnest($1::timestamptz[], $2::bigint[]) AS nested (occurred_at, span_key)
         WHERE slow_queries.occurred_at = nested.occurred_at AND slow_queries.span_key = nested.span_key",
        column!(nested, |call| call.occurred_at),
        column!(nested, |call| call.span_key)
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "UPDATE slow_queries AS slow
         SET tenant = placed.tenant, method = placed.method, endpoint = placed.endpoint
         FROM unnest($1::timestamptz[], $2::bigint[], $3::text[], $4::text[], $5::text[])
              AS placed (occurred_at, span_key, tenant, method, endpoint)
         WHERE slow.occurred_at = placed.occurred_at AND slow.span_key = placed.span_key
           AND placed.endpoint IS NOT NULL",
        column!(own, |call| call.occurred_at),
        column!(own, |call| call.span_key),
        column!(own, |call| call.tenant.clone()) as &[Option<String>],
        column!(own, |call| call.method.clone()) as &[Option<String>],
        column!(own, |call| call.endpoint.clone()) as &[Option<String>]
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}

async fn write_repeated(
    transaction: &mut Transaction<'_, Postgres>,
    repeated: &[RepeatedInRequest],
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO repeated_queries
             (occurred_at, span_key, fingerprint, tenant, service, method, endpoint, calls, total_ms, trace_id)
         SELECT * FROM unnest(
             $1::timestamptz[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
             $8::integer[], $9::float8[], $10::text[]
         )
         ON CONFLICT (occurred_at, span_key, fingerprint)
         DO UPDATE SET calls = excluded.calls, total_ms = excluded.total_ms",
        column!(repeated, |row| row.request.occurred_at),
        column!(repeated, |row| row.request.span_key),
        column!(repeated, |row| row.repeated.fingerprint),
        column!(repeated, |row| row.request.tenant.clone()) as &[Option<String>],
        column!(repeated, |row| row.request.service.clone()),
        column!(repeated, |row| row.request.method.clone()),
        column!(repeated, |row| row.request.endpoint.clone()),
        column!(repeated, |row| row.repeated.calls),
        column!(repeated, |row| row.repeated.total_ms),
        column!(repeated, |row| row.request.trace_id.clone())
    )
    .execute(&mut **transaction)
    .await
    .map(drop)
}
