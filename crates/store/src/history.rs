//! A window step by step, for charts: requests, or calls of a query, read from the rollups of one resolution. The steps are
//! whole minutes, hours or days, so that two looks at the same window draw the same.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Store;
use crate::error::StoreError;
use crate::request_metrics::OPERATION;
use crate::rollup::{Rollup, Row};
use crate::rollups::Resolution;
use crate::series::Subject;
use crate::windows::MetricFilter;

/// Rollups of minutes that are read for one history; where it would be more, those of hours are.
const MAX_ROWS: i64 = 100_000;

/// What happened in a step.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistoryPoint {
    /// Where it begins.
    pub at: DateTime<Utc>,
    /// How many.
    pub count: i64,
    /// Those that failed.
    pub errors: i64,
    /// Part of them that failed, 0 to 1; absent when there was none, as all that follow.
    pub error_rate: Option<f64>,
    /// Mean.
    pub mean_ms: Option<f64>,
    /// Median, with a relative error below 1 %, as all quantiles.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
}

/// A window step by step.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct History {
    /// Where the first step begins.
    pub since: DateTime<Utc>,
    /// Where the last one ends.
    pub until: DateTime<Utc>,
    /// How long a step is.
    pub step_ms: i64,
    /// All steps, also those in which nothing happened.
    pub points: Vec<HistoryPoint>,
}

impl HistoryPoint {
    fn of(at: DateTime<Utc>, all: &Rollup) -> Self {
        Self {
            at,
            count: all.count,
            errors: all.errors,
            error_rate: (all.count > 0).then(|| all.errors as f64 / all.count as f64),
            mean_ms: all.mean_ms(),
            p50_ms: all.quantile_ms(0.50),
            p95_ms: all.quantile_ms(0.95),
            p99_ms: all.quantile_ms(0.99),
            max_ms: (all.count > 0).then_some(all.max_ms),
        }
    }
}

impl Store {
    /// Requests from `since` to `until`, or calls of the query that the filter names. What was timed by hand is no request,
    /// unless it is asked for.
    pub async fn history(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        filter: &MetricFilter,
    ) -> Result<History, StoreError> {
        let subject = if filter.fingerprint.is_some() { Subject::Query } else { Subject::Request };
        let series = self.series_of(subject, filter).await?;
        let step = step((until - since).num_minutes(), series.len());
        let since = since.duration_trunc(step).unwrap_or(since);
        let mut at = since;
        let mut steps = Vec::new();
        while at < until {
            steps.push((at, Rollup::default()));
            at += step;
        }
        let mut rows = self.stepwise(subject, since, at, step, &series);
        let failed = || StoreError::query("read what happened");
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            if let Some((_, all)) = usize::try_from(row.series_id).ok().and_then(|index| steps.get_mut(index))
            {
                all.add(&row);
            }
        }
        let points = steps.iter().map(|(at, all)| HistoryPoint::of(*at, all)).collect();
        Ok(History { since, until: at, step_ms: step.num_milliseconds(), points })
    }

    async fn series_of(&self, subject: Subject, filter: &MetricFilter) -> Result<Vec<i32>, StoreError> {
        let series = sqlx::query_scalar!(
            "SELECT id FROM metric_series
             WHERE subject = $1
               AND ($2::text IS NULL OR tenant = $2)
               AND ($3::text IS NULL OR service = $3)
               AND ($4::text IS NULL OR endpoint = $4)
               AND ($5::text IS NULL OR method = $5)
               AND ($6::bigint IS NULL OR fingerprint = $6)
               AND ($5 = $7 OR method IS DISTINCT FROM $7)",
            subject.as_str(),
            filter.tenant.as_deref(),
            filter.service.as_deref(),
            filter.endpoint.as_deref(),
            filter.method.as_deref(),
            filter.fingerprint,
            OPERATION
        );
        series.fetch_all(&self.pool).await.map_err(StoreError::query("look for series"))
    }

    /// Rollups added up by step; the number of the step stands where a series' stands otherwise.
    fn stepwise<'a>(
        &'a self,
        subject: Subject,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        step: TimeDelta,
        series: &'a [i32],
    ) -> futures_util::stream::BoxStream<'a, sqlx::Result<Row>> {
        sqlx::query_as!(
            Row,
            r#"
            SELECT (extract(epoch FROM bucket - $3)::bigint / $5)::integer AS "series_id!",
                   sum(count)::bigint AS "count!", sum(errors)::bigint AS "errors!", sum(least(sum_ms, 1e100)) AS "sum_ms!",
                   sum(least(sum_squares_ms, 1e100)) AS "sum_squares_ms!", min(min_ms) AS "min_ms!", max(max_ms) AS "max_ms!",
                   NULL::bigint AS db_query_count, NULL::float8 AS db_query_time_ms, NULL::float8 AS db_told_ms,
                   NULL::bigint AS cache_hits, NULL::bigint AS cache_misses,
                   array_agg(sketch) AS sketches, NULL::integer AS sketch_bucket
            FROM rollups
            WHERE resolution = $1 AND subject = $2 AND bucket >= $3 AND bucket < $4
              -- Not by the index: one look for each series takes ten times as long as one look at all of them.
              AND series_id + 0 IN (SELECT unnest($6::integer[]))
            GROUP BY 1
            "#,
            resolution(step).minutes(),
            subject.as_str(),
            since,
            until,
            step.num_seconds(),
            series
        )
        .fetch(&self.pool)
    }
}

/// How long the steps of so many minutes are, for some 150 to 350 of them, where that does not take too long to read.
fn step(minutes: i64, series: usize) -> TimeDelta {
    let rows = minutes.saturating_mul(i64::try_from(series).unwrap_or(i64::MAX));
    // The longest window of each step, and whether there may be too much to read.
    let steps = [
        (180, false, TimeDelta::minutes(1)),
        (720, rows > MAX_ROWS, TimeDelta::minutes(5)),
        (2160, rows > MAX_ROWS, TimeDelta::minutes(15)),
        (20_160, false, TimeDelta::hours(1)),
        (89_280, false, TimeDelta::hours(6)),
    ];
    let fits = steps.into_iter().find(|(longest, is_too_much, _)| minutes <= *longest && !is_too_much);
    fits.map_or(TimeDelta::days(1), |(.., step)| step)
}

/// The rollups that such steps are made of.
fn resolution(step: TimeDelta) -> Resolution {
    let fits = |resolution: &Resolution| step >= resolution.length();
    Resolution::ALL.into_iter().rev().find(fits).unwrap_or(Resolution::Minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_few_and_made_of_whole_rollups() {
        for (minutes, series) in
            [(1, 1), (180, 5000), (181, 1), (721, 100), (1440, 100_000), (43_200, 1), (527_040, 9)]
        {
            let step = step(minutes, series);
            assert!(minutes / step.num_minutes() <= 370, "{minutes}: {step}");
            assert_eq!(step.num_minutes() % i64::from(resolution(step).minutes()), 0);
        }
        assert_eq!(step(600, 10_000), TimeDelta::hours(1), "six million rows would be read");
    }
}
