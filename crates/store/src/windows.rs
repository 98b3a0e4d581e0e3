//! What happened in a window, read from rollups: days and hours in the middle, minutes at the edges, so that a month
//! costs no more than a day.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

use crate::Store;
use crate::error::StoreError;
use crate::groups::GroupCursor;
use crate::request_metrics::OPERATION;
use crate::rollup::{Rollup, Row};
use crate::rollups::{Resolution, raw_queries, raw_requests, rollups};
use crate::series::Subject;

/// Endpoints that one look returns: the busiest.
const MAX_ENDPOINTS: usize = 5000;

/// From when to when, `until` not included. Whole minutes are quicker than parts of one.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// From here.
    pub since: DateTime<Utc>,
    /// To here; `None`: all that came since.
    pub until: Option<DateTime<Utc>>,
}

/// Whose requests. What is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct MetricFilter {
    /// The tenant.
    pub tenant: Option<String>,
    /// The service.
    pub service: Option<String>,
    /// The HTTP method.
    pub method: Option<String>,
    /// The route.
    pub endpoint: Option<String>,
    /// Calls of this query, where it is asked for queries.
    pub fingerprint: Option<i64>,
}

/// How long an endpoint takes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EndpointTiming {
    /// The service.
    pub service: String,
    /// The HTTP method.
    pub method: String,
    /// The route.
    pub endpoint: String,
    /// Its requests.
    pub count: i64,
    /// Those that failed.
    pub errors: i64,
    /// Mean.
    pub mean_ms: f64,
    /// Standard deviation; 0 with one request.
    pub stddev_ms: f64,
    /// Median, with a relative error below 1 %, as all quantiles.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Part of the time that went into database queries, 0 to 1; absent when no request told.
    pub database_share: Option<f64>,
}

impl EndpointTiming {
    /// The place behind this one in a list in the order of `value`, the greatest first.
    pub fn cursor(&self, value: f64) -> GroupCursor {
        place_of(&self.service, &self.method, &self.endpoint, value)
    }
}

/// All requests of a window. Times are absent when there was none.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RequestSummary {
    /// How many.
    pub count: i64,
    /// Those that failed.
    pub errors: i64,
    /// Mean.
    pub mean_ms: Option<f64>,
    /// Median, with a relative error below 1 %, as all quantiles.
    pub p50_ms: Option<f64>,
    /// 90th percentile.
    pub p90_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// 99.9th percentile.
    pub p999_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
    /// Part of the time that went into database queries, 0 to 1; absent when no request told.
    pub database_share: Option<f64>,
}

/// The requests of a window. What was timed by hand is none, and stands among the endpoints.
#[derive(Clone, Debug)]
pub struct Requests {
    /// All together.
    pub all: RequestSummary,
    /// By endpoint: the 5000 busiest, the busiest first.
    pub endpoints: Vec<EndpointTiming>,
}

/// A series of requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Endpoint {
    service: String,
    method: String,
    route: String,
}

impl Endpoint {
    fn place(&self, count: i64) -> GroupCursor {
        place_of(&self.service, &self.method, &self.route, count as f64)
    }
}

fn place_of(service: &str, method: &str, route: &str, value: f64) -> GroupCursor {
    GroupCursor::new(value, xxh3_64([service, method, route].join("\0").as_bytes()))
}

struct NamedSeries {
    id: i32,
    service: String,
    method: String,
    endpoint: String,
}

/// What a part of a window is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    RawRows,
    Rollups(Resolution),
}

impl Window {
    /// What makes it up: coarse buckets where they fit, finer ones at the edges, raw rows where a minute is not whole.
    fn parts(self) -> Vec<(Source, DateTime<Utc>, DateTime<Utc>)> {
        let until = self.until.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let mut parts = Vec::new();
        let mut from = self.since;
        let mut push = |source, to: DateTime<Utc>| {
            if from < to {
                parts.push((source, from, to));
                from = to;
            }
        };
        // Up, from raw rows to days …
        let minute = ceil(Resolution::Minute, self.since);
        let hour = ceil(Resolution::Hour, minute);
        push(Source::RawRows, minute.min(until));
        push(Source::Rollups(Resolution::Minute), hour.min(floor(Resolution::Minute, until)));
        push(
            Source::Rollups(Resolution::Hour),
            ceil(Resolution::Day, hour).min(floor(Resolution::Hour, until)),
        );
        // … and down again. All that came since ends with a day that is not over.
        for resolution in [Resolution::Day, Resolution::Hour, Resolution::Minute] {
            push(Source::Rollups(resolution), floor(resolution, until));
        }
        push(Source::RawRows, until);
        parts
    }
}

/// The beginning of the bucket; the end of all times is one.
fn floor(resolution: Resolution, time: DateTime<Utc>) -> DateTime<Utc> {
    if time == DateTime::<Utc>::MAX_UTC { time } else { resolution.bucket(time) }
}

fn ceil(resolution: Resolution, time: DateTime<Utc>) -> DateTime<Utc> {
    let bucket = resolution.bucket(time);
    if bucket == time { time } else { bucket.checked_add_signed(resolution.length()).unwrap_or(time) }
}

impl Store {
    /// What was asked in a window, and how long it took.
    pub async fn requests(&self, window: Window, filter: &MetricFilter) -> Result<Requests, StoreError> {
        let series = self.request_series(filter).await?;
        let mut endpoints: Vec<(Endpoint, Rollup)> = Vec::new();
        let mut places: HashMap<Endpoint, usize> = HashMap::new();
        let mut place_of_series: HashMap<i32, usize> = HashMap::with_capacity(series.len());
        for NamedSeries { id, service, method, endpoint } in &series {
            let endpoint =
                Endpoint { service: service.clone(), method: method.clone(), route: endpoint.clone() };
            // Tenants have an endpoint in common.
            let place = *places.entry(endpoint.clone()).or_insert_with(|| {
                endpoints.push((endpoint, Rollup::default()));
                endpoints.len() - 1
            });
            place_of_series.insert(*id, place);
        }
        let take = |id, row: &Row| endpoints[place_of_series[&id]].1.add(row);
        self.read_rollups(window, Subject::Request, &ids(&series), take).await?;
        endpoints.retain(|(_, rollup)| rollup.count > 0);
        let mut all = Rollup::default();
        for (_, rollup) in endpoints.iter().filter(|(endpoint, _)| endpoint.method != OPERATION) {
            all.merge(rollup);
        }
        endpoints.sort_by(|(one, few), (other, many)| {
            let (one, other) = (one.place(few.count), other.place(many.count));
            one.compare(other)
        });
        endpoints.truncate(MAX_ENDPOINTS);
        let endpoints = endpoints.into_iter().filter_map(|(endpoint, rollup)| timing(endpoint, &rollup));
        Ok(Requests { all: summary(&all), endpoints: endpoints.collect() })
    }

    async fn request_series(&self, filter: &MetricFilter) -> Result<Vec<NamedSeries>, StoreError> {
        let series = sqlx::query_as!(
            NamedSeries,
            r#"
            SELECT id, service, method AS "method!", endpoint AS "endpoint!"
            FROM metric_series
            WHERE subject = 'request'
              AND ($1::text IS NULL OR tenant = $1)
              AND ($2::text IS NULL OR service = $2)
              AND ($3::text IS NULL OR endpoint = $3)
              AND ($4::text IS NULL OR method = $4)
            "#,
            filter.tenant.as_deref(),
            filter.service.as_deref(),
            filter.endpoint.as_deref(),
            filter.method.as_deref()
        );
        series.fetch_all(&self.pool).await.map_err(StoreError::query("look for series"))
    }

    fn raw_rows<'a>(
        &'a self,
        subject: Subject,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        series: &'a [i32],
    ) -> BoxStream<'a, sqlx::Result<Row>> {
        match subject {
            Subject::Request => raw_requests!(since, until, Some(series)).fetch(&self.pool),
            Subject::Query => raw_queries!(since, until, Some(series)).fetch(&self.pool),
        }
    }

    fn rollups<'a>(
        &'a self,
        subject: Subject,
        resolution: Resolution,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        series: &'a [i32],
    ) -> BoxStream<'a, sqlx::Result<Row>> {
        rollups!(resolution, subject, since, until, Some(series)).fetch(&self.pool)
    }

    /// Passes on each row of these series in the window.
    pub(crate) async fn read_rollups(
        &self,
        window: Window,
        subject: Subject,
        series: &[i32],
        mut take: impl FnMut(i32, &Row),
    ) -> Result<(), StoreError> {
        // At the same time: each takes Postgres some milliseconds.
        let parts = window.parts().into_iter().map(|(source, since, until)| match source {
            Source::RawRows => self.raw_rows(subject, since, until, series),
            Source::Rollups(resolution) => self.rollups(subject, resolution, since, until, series),
        });
        let mut rows = futures_util::stream::select_all(parts);
        while let Some(row) = rows.try_next().await.map_err(StoreError::query("read what happened"))? {
            take(row.series_id, &row);
        }
        Ok(())
    }
}

fn ids(series: &[NamedSeries]) -> Vec<i32> {
    series.iter().map(|series| series.id).collect()
}

fn database_share(rollup: &Rollup) -> Option<f64> {
    let (database, told) = (rollup.db_query_time_ms?, rollup.db_told_ms?);
    // Queries that ran at the same time may take longer together than their request.
    (told > 0.0).then(|| (database / told).min(1.0))
}

fn summary(all: &Rollup) -> RequestSummary {
    RequestSummary {
        count: all.count,
        errors: all.errors,
        mean_ms: all.mean_ms(),
        p50_ms: all.quantile_ms(0.50),
        p90_ms: all.quantile_ms(0.90),
        p95_ms: all.quantile_ms(0.95),
        p99_ms: all.quantile_ms(0.99),
        p999_ms: all.quantile_ms(0.999),
        max_ms: (all.count > 0).then_some(all.max_ms),
        database_share: database_share(all),
    }
}

fn timing(endpoint: Endpoint, rollup: &Rollup) -> Option<EndpointTiming> {
    Some(EndpointTiming {
        service: endpoint.service,
        method: endpoint.method,
        endpoint: endpoint.route,
        count: rollup.count,
        errors: rollup.errors,
        mean_ms: rollup.mean_ms()?,
        stddev_ms: rollup.stddev_ms(),
        p50_ms: rollup.quantile_ms(0.50)?,
        p90_ms: rollup.quantile_ms(0.90)?,
        p95_ms: rollup.quantile_ms(0.95)?,
        p99_ms: rollup.quantile_ms(0.99)?,
        max_ms: rollup.max_ms,
        database_share: database_share(rollup),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_of_a_window_lie_side_by_side(start in 0_i64..10_000_000, minutes in 0_i64..200_000, is_open in any::<bool>()) {
            let since = DateTime::UNIX_EPOCH + TimeDelta::seconds(start * 7);
            let until = since + TimeDelta::seconds(minutes * 60 + start % 60);
            let parts = Window { since, until: (!is_open).then_some(until) }.parts();
            let mut at = since;
            for (source, from, to) in &parts {
                prop_assert_eq!(*from, at);
                prop_assert!(from < to);
                match source {
                    Source::RawRows => prop_assert!(*to - *from < TimeDelta::minutes(1)),
                    Source::Rollups(resolution) => {
                        prop_assert_eq!(floor(*resolution, *from), *from);
                        prop_assert_eq!(floor(*resolution, *to), *to);
                    }
                }
                at = *to;
            }
            prop_assert_eq!(at, if is_open { DateTime::<Utc>::MAX_UTC } else { until.max(since) });
            prop_assert!(parts.len() <= 7, "{parts:?}");
        }
    }
}
