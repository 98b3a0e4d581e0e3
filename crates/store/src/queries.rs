//! What queries cost in a window: calls of the same fingerprint together, read from rollups, with the slowest of them as
//! the example, and the endpoints that make them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

use crate::Store;
use crate::error::StoreError;
use crate::groups::GroupCursor;
use crate::query_statistics::ServerStatistics;
use crate::rollup::Rollup;
use crate::series::Subject;
use crate::windows::{MetricFilter, Window};

/// Endpoints that are told of a query: those that spend most time in it.
const MAX_USERS: usize = 5;
/// What is told of calls of queries beyond the number that a service may have.
const OTHER: &str = "(other)";

/// A query, and what it costs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct QueryTiming {
    /// The same for the same query.
    pub fingerprint: String,
    /// What is asked, such as `postgresql`.
    pub system: String,
    /// The query without literals.
    pub text: String,
    /// Its command and targets.
    pub summary: String,
    /// How often it was called.
    pub calls: i64,
    /// Calls that failed.
    pub errors: i64,
    /// Time of all calls together.
    pub total_ms: f64,
    /// Part of the time of all queries, 0 to 1.
    pub share: f64,
    /// Mean.
    pub mean_ms: f64,
    /// 95th percentile, with a relative error below 1 %.
    pub p95_ms: f64,
    /// The longest call.
    pub max_ms: f64,
    /// Ever.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// Ever, to the minute or so.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Requests of the window in which it came five times or more.
    pub repeated_in_requests: i64,
    /// The slowest call of the window; absent when none was slow.
    pub example: Option<QueryExample>,
    /// The endpoints that spend most time in it.
    pub used_by: Vec<QueryUser>,
    /// What watched databases say of it; absent when none does.
    pub server: Option<ServerStatistics>,
    #[serde(skip)]
    place: GroupCursor,
}

impl QueryTiming {
    /// Without what is known of all who make it: for one tenant alone.
    #[must_use]
    pub fn of_one_tenant(self) -> Self {
        Self { server: None, first_seen_at: None, last_seen_at: None, ..self }
    }

    /// The place behind this one.
    pub fn cursor(&self) -> GroupCursor {
        self.place
    }
}

/// A slow call.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct QueryExample {
    /// When it ended.
    pub occurred_at: DateTime<Utc>,
    /// How long it took.
    pub execution_time_ms: f64,
    /// Rows that came back.
    pub rows_returned: Option<i64>,
    /// Who asked.
    pub service: String,
    /// The HTTP method of the request that it was made for.
    pub method: Option<String>,
    /// The route of that request.
    pub endpoint: Option<String>,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// How it failed.
    pub error: Option<String>,
}

/// Who makes a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryUser {
    /// The service.
    pub service: String,
    /// The HTTP method; absent: not for a request, or it is not known for which.
    pub method: Option<String>,
    /// The route.
    pub endpoint: Option<String>,
    /// How often.
    pub calls: i64,
    /// Time of these calls together.
    pub total_ms: f64,
}

/// A series of calls.
struct Series {
    id: i32,
    service: String,
    method: Option<String>,
    endpoint: Option<String>,
    fingerprint: Option<i64>,
}

type User<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// The calls of a query.
#[derive(Default)]
struct Query<'a> {
    calls: Rollup,
    users: BTreeMap<User<'a>, (i64, f64)>,
}

/// What is kept of a query beside its calls.
struct Known {
    fingerprint: i64,
    system: String,
    text: String,
    summary: String,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
}

struct SlowestOf {
    fingerprint: i64,
    occurred_at: DateTime<Utc>,
    execution_time_ms: f64,
    rows_returned: Option<i64>,
    service: String,
    method: Option<String>,
    endpoint: Option<String>,
    trace_id: Option<String>,
    error: Option<String>,
}

struct RepeatedIn {
    fingerprint: i64,
    requests: i64,
}

impl Store {
    /// Queries with a call of at least `threshold_ms`: those that take most time together first.
    pub async fn query_timings(
        &self,
        window: Window,
        filter: &MetricFilter,
        threshold_ms: f64,
        behind: Option<GroupCursor>,
        limit: usize,
    ) -> Result<Vec<QueryTiming>, StoreError> {
        let series = self.query_series_of(filter).await?;
        let queries = self.queries_of(window, &series).await?;
        let all_ms: f64 = queries.values().map(|query| query.calls.sum_ms).sum();
        let place = |fingerprint: Option<i64>, query: &Query<'_>| {
            GroupCursor::new(query.calls.sum_ms, fingerprint.unwrap_or_default().cast_unsigned())
        };
        let mut page: Vec<_> = queries
            .into_iter()
            .map(|(fingerprint, query)| (place(fingerprint, &query), fingerprint, query))
            .filter(|(place, fingerprint, query)| {
                query.calls.count > 0
                    && (filter.fingerprint.is_none() || *fingerprint == filter.fingerprint)
                    && query.calls.max_ms >= threshold_ms
                    && behind.is_none_or(|behind| place.is_behind(behind))
            })
            .collect();
        page.sort_by(|(one, ..), (other, ..)| one.compare(*other));
        page.truncate(limit);
        let prints: Vec<i64> = page.iter().filter_map(|(_, fingerprint, _)| *fingerprint).collect();
        let mut texts = self.texts_of(&prints).await?;
        let mut examples = self.examples_of(&prints, window, filter).await?;
        let repeated = self.repeated_of(&prints, window, filter).await?;
        let mut servers = self.statistics_of(&prints, window).await?;
        let timing = |(place, fingerprint, query): (GroupCursor, Option<i64>, Query<'_>)| {
            let print = fingerprint.unwrap_or_default();
            let timing = timing(place, fingerprint, &query, all_ms, texts.remove(&print));
            QueryTiming {
                example: examples.remove(&print),
                server: servers.remove(&print),
                repeated_in_requests: repeated.get(&print).copied().unwrap_or_default(),
                ..timing
            }
        };
        Ok(page.into_iter().map(timing).collect())
    }

    async fn query_series_of(&self, filter: &MetricFilter) -> Result<Vec<Series>, StoreError> {
        let series = sqlx::query_as!(
            Series,
            "SELECT id, service, method, endpoint, fingerprint
             FROM metric_series
             WHERE subject = 'query'
               AND ($1::text IS NULL OR tenant = $1)
               AND ($2::text IS NULL OR service = $2)
               AND ($3::text IS NULL OR endpoint = $3)
               AND ($4::text IS NULL OR method = $4)",
            filter.tenant.as_deref(),
            filter.service.as_deref(),
            filter.endpoint.as_deref(),
            filter.method.as_deref()
        );
        series.fetch_all(&self.pool).await.map_err(StoreError::query("look for series"))
    }

    async fn queries_of<'a>(
        &self,
        window: Window,
        series: &'a [Series],
    ) -> Result<HashMap<Option<i64>, Query<'a>>, StoreError> {
        let by_id: HashMap<i32, &Series> = series.iter().map(|series| (series.id, series)).collect();
        let ids: Vec<i32> = by_id.keys().copied().collect();
        let mut queries: HashMap<Option<i64>, Query<'a>> = HashMap::new();
        self.read_rollups(window, Subject::Query, &ids, |id, row| {
            let series = by_id[&id];
            let query = queries.entry(series.fingerprint).or_default();
            query.calls.add(row);
            let user = (series.service.as_str(), series.method.as_deref(), series.endpoint.as_deref());
            let (calls, total_ms) = query.users.entry(user).or_default();
            *calls += row.count;
            *total_ms += row.sum_ms;
        })
        .await?;
        Ok(queries)
    }

    /// What the query with this fingerprint does, in two words; `None` where none is known.
    pub async fn query_summary(&self, fingerprint: &str) -> Result<Option<String>, StoreError> {
        let Ok(print) = u64::from_str_radix(fingerprint, 16) else { return Ok(None) };
        let print = print.cast_signed();
        Ok(self.texts_of(&[print]).await?.remove(&print).map(|text| text.summary))
    }

    async fn texts_of(&self, prints: &[i64]) -> Result<HashMap<i64, Known>, StoreError> {
        let texts = sqlx::query_as!(
            Known,
            "SELECT fingerprint, system, text, summary, first_seen_at, last_seen_at
             FROM query_texts WHERE fingerprint = ANY ($1)",
            prints
        );
        let texts =
            texts.fetch_all(&self.pool).await.map_err(StoreError::query("read the texts of queries"))?;
        Ok(texts.into_iter().map(|text| (text.fingerprint, text)).collect())
    }

    async fn examples_of(
        &self,
        prints: &[i64],
        window: Window,
        filter: &MetricFilter,
    ) -> Result<HashMap<i64, QueryExample>, StoreError> {
        let slowest = sqlx::query_as!(
            SlowestOf,
            r#"
            SELECT print AS "fingerprint!", occurred_at AS "occurred_at!", execution_time_ms AS "execution_time_ms!",
                   rows_returned, service AS "service!", method, endpoint, trace_id, error
            FROM unnest($1::bigint[]) AS asked (print),
                 LATERAL (
                     SELECT * FROM slow_queries
                     WHERE fingerprint = print AND occurred_at >= $2 AND occurred_at < $3
                       AND ($4::text IS NULL OR tenant = $4)
                       AND ($5::text IS NULL OR service = $5)
                       AND ($6::text IS NULL OR endpoint = $6)
                       AND ($7::text IS NULL OR method = $7)
                     ORDER BY execution_time_ms DESC LIMIT 1
                 ) AS slowest
            "#,
            prints,
            window.since,
            window.until.unwrap_or(DateTime::<Utc>::MAX_UTC),
            filter.tenant.as_deref(),
            filter.service.as_deref(),
            filter.endpoint.as_deref(),
            filter.method.as_deref()
        );
        let slowest =
            slowest.fetch_all(&self.pool).await.map_err(StoreError::query("look for slow queries"))?;
        let example = |slowest: SlowestOf| {
            let example = QueryExample {
                occurred_at: slowest.occurred_at,
                execution_time_ms: slowest.execution_time_ms,
                rows_returned: slowest.rows_returned,
                service: slowest.service,
                method: slowest.method,
                endpoint: slowest.endpoint,
                trace_id: slowest.trace_id,
                error: slowest.error,
            };
            (slowest.fingerprint, example)
        };
        Ok(slowest.into_iter().map(example).collect())
    }

    async fn repeated_of(
        &self,
        prints: &[i64],
        window: Window,
        filter: &MetricFilter,
    ) -> Result<HashMap<i64, i64>, StoreError> {
        let repeated = sqlx::query_as!(
            RepeatedIn,
            r#"
            SELECT fingerprint, count(*) AS "requests!"
            FROM repeated_queries
            WHERE fingerprint = ANY ($1) AND occurred_at >= $2 AND occurred_at < $3
              AND ($4::text IS NULL OR tenant = $4)
              AND ($5::text IS NULL OR service = $5)
              AND ($6::text IS NULL OR endpoint = $6)
              AND ($7::text IS NULL OR method = $7)
            GROUP BY fingerprint
            "#,
            prints,
            window.since,
            window.until.unwrap_or(DateTime::<Utc>::MAX_UTC),
            filter.tenant.as_deref(),
            filter.service.as_deref(),
            filter.endpoint.as_deref(),
            filter.method.as_deref()
        );
        let repeated =
            repeated.fetch_all(&self.pool).await.map_err(StoreError::query("look for repeated queries"))?;
        Ok(repeated.into_iter().map(|row| (row.fingerprint, row.requests)).collect())
    }
}

fn timing(
    place: GroupCursor,
    fingerprint: Option<i64>,
    query: &Query<'_>,
    all_ms: f64,
    text: Option<Known>,
) -> QueryTiming {
    let calls = &query.calls;
    let seen = text.as_ref().map(|text| (text.first_seen_at, text.last_seen_at));
    let (system, words, summary) = match text {
        Some(text) => (text.system, text.text, text.summary),
        None => (String::new(), OTHER.to_owned(), OTHER.to_owned()),
    };
    QueryTiming {
        fingerprint: fingerprint.map_or_else(|| OTHER.to_owned(), |print| format!("{print:016x}")),
        system,
        text: words,
        summary,
        calls: calls.count,
        errors: calls.errors,
        total_ms: calls.sum_ms,
        share: if all_ms > 0.0 { calls.sum_ms / all_ms } else { 0.0 },
        mean_ms: calls.mean_ms().unwrap_or_default(),
        p95_ms: calls.quantile_ms(0.95).unwrap_or_default(),
        max_ms: calls.max_ms,
        first_seen_at: seen.map(|(first, _)| first),
        last_seen_at: seen.map(|(_, last)| last),
        repeated_in_requests: 0,
        example: None,
        server: None,
        used_by: users(query),
        place,
    }
}

fn users(query: &Query<'_>) -> Vec<QueryUser> {
    let user = |((service, method, endpoint), (calls, total_ms)): (&User<'_>, &(i64, f64))| QueryUser {
        service: (*service).to_owned(),
        method: method.map(str::to_owned),
        endpoint: endpoint.map(str::to_owned),
        calls: *calls,
        total_ms: *total_ms,
    };
    let mut users: Vec<_> = query.users.iter().map(user).collect();
    users.sort_by(|one, other| other.total_ms.total_cmp(&one.total_ms));
    users.truncate(MAX_USERS);
    users
}
