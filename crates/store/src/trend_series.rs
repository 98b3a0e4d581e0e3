//! `trend_series` and `trend_hours`: the past of what trend analysis follows, in steps of five minutes, and how far it has come.

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{Metric, Scope};
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};

use crate::Store;
use crate::error::StoreError;
use crate::partitions::TREND_HOURS;
use crate::rollups::Resolution;

/// How long a step is.
pub const TREND_STEP: TimeDelta = TimeDelta::minutes(5);

/// One figure of one subject over time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrendSeries {
    /// Which figure.
    pub metric: Metric,
    /// Of what.
    pub scope: Scope,
}

/// A figure of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrendStep {
    /// Its series.
    pub series_id: i32,
    /// The figure.
    pub figure: f32,
    /// Of how many requests, calls or samples.
    pub count: f32,
}

/// The steps of an hour of a series.
#[derive(Clone, Debug)]
pub struct TrendHour {
    /// The series.
    pub series_id: i32,
    /// When it begins.
    pub hour: DateTime<Utc>,
    /// Figures and counts, where there are any.
    pub steps: Vec<Option<(f32, f32)>>,
}

/// A detector as it was stored.
#[derive(Clone, Debug)]
pub struct StoredDetector {
    /// Its series.
    pub series_id: i32,
    /// As it was packed; absent: there is none yet.
    pub detector: Option<Vec<u8>>,
    /// It knows all before this.
    pub detector_at: Option<DateTime<Utc>>,
}

/// The right to analyse: nobody else does while this is held. It ends when it is dropped.
#[derive(Debug)]
pub struct TrendTurn(PgConnection);

impl TrendTurn {
    /// Gives it back at once; a session that is dropped ends some moments later.
    pub async fn end(self) -> Result<(), StoreError> {
        self.0.close().await.map_err(StoreError::query("end the analysis of trends"))
    }
}

struct SeriesRow {
    id: i32,
    metric: String,
    scope: Json<Scope>,
}

struct HourRow {
    series_id: i32,
    hour: DateTime<Utc>,
    figures: Vec<Option<f32>>,
    counts: Vec<Option<f32>>,
}

impl Store {
    /// Nobody else analyses from now on; `None`: somebody does.
    pub async fn trend_turn(&self) -> Result<Option<TrendTurn>, StoreError> {
        let session = self.pool.acquire().await.map_err(StoreError::query("connect to Postgres"))?;
        let mut session = session.detach();
        let alone =
            sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock(hashtext('dogwatch trends'), 0) AS "alone!""#);
        let is_alone =
            alone.fetch_one(&mut session).await.map_err(StoreError::query("begin the analysis of trends"))?;
        Ok(is_alone.then_some(TrendTurn(session)))
    }

    /// Up to where everything is analysed; `None`: nothing is.
    pub async fn trends_analysed_through(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let progress = sqlx::query_scalar!("SELECT analysed_through FROM trend_progress");
        progress
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("read how far trends are analysed"))
    }

    /// When the first thing happened that is kept by the minute; `None`: nothing did.
    pub async fn first_minute(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let first = sqlx::query_scalar!(
            "SELECT least(
                 (SELECT min(bucket) FROM rollups WHERE resolution = 1 AND subject = 'request'),
                 (SELECT min(sampled_at) FROM host_metrics)
             )"
        );
        first.fetch_one(&self.pool).await.map_err(StoreError::query("look for the first minute"))
    }

    /// All series that are followed, with their numbers.
    pub async fn trend_series(&self) -> Result<Vec<(TrendSeries, i32)>, StoreError> {
        let rows = sqlx::query_as!(
            SeriesRow,
            r#"SELECT id, metric, scope AS "scope: Json<Scope>" FROM trend_series"#
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read what trends are of"))?;
        rows.into_iter()
            .map(|row| Ok((TrendSeries { metric: metric(row.metric)?, scope: row.scope.0 }, row.id)))
            .collect()
    }

    /// Follows these series as well; their numbers, in the same order.
    pub async fn follow_trends(
        &self,
        series: &[TrendSeries],
        now: DateTime<Utc>,
    ) -> Result<Vec<i32>, StoreError> {
        let metrics: Vec<String> = series.iter().map(|series| series.metric.as_str().to_owned()).collect();
        let scopes: Vec<_> = series.iter().map(|series| Json(&series.scope)).collect();
        let follow = sqlx::query!(
            "INSERT INTO trend_series (metric, scope, created_at)
             SELECT metric, scope, $3 FROM unnest($1::text[], $2::jsonb[]) AS new (metric, scope)
             ON CONFLICT DO NOTHING",
            &metrics,
            &scopes as &[Json<&Scope>],
            now
        );
        follow.execute(&self.pool).await.map_err(StoreError::query("follow a series"))?;
        let ids = sqlx::query_scalar!(
            r#"
            SELECT trend_series.id AS "id!"
            FROM unnest($1::text[], $2::jsonb[]) WITH ORDINALITY AS new (metric, scope, place)
            JOIN trend_series USING (metric, scope)
            ORDER BY place
            "#,
            &metrics,
            &scopes as &[Json<&Scope>]
        );
        ids.fetch_all(&self.pool).await.map_err(StoreError::query("follow a series"))
    }

    /// Writes the figures of the step that begins at `at`, and that everything up to its end is known.
    pub async fn store_trend_step(&self, at: DateTime<Utc>, steps: &[TrendStep]) -> Result<(), StoreError> {
        self.ensure_days(TREND_HOURS, std::iter::once(at)).await?;
        let failed = || StoreError::query("store figures of a step");
        let hour = Resolution::Hour.bucket(at);
        let slot = slot_of(at);
        let ids: Vec<i32> = steps.iter().map(|step| step.series_id).collect();
        let figures: Vec<f32> = steps.iter().map(|step| step.figure).collect();
        let counts: Vec<f32> = steps.iter().map(|step| step.count).collect();
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let hours = sqlx::query!(
            "INSERT INTO trend_hours (series_id, hour, figures, counts)
             SELECT id, $2, array_fill(NULL::real, ARRAY[12]), array_fill(NULL::real, ARRAY[12])
             FROM unnest($1::integer[]) AS new (id)
             ON CONFLICT DO NOTHING",
            &ids,
            hour
        );
        hours.execute(&mut *transaction).await.map_err(failed())?;
        let write = sqlx::query!(
            "UPDATE trend_hours
             SET figures[$4] = new.figure, counts[$4] = new.count
             FROM unnest($1::integer[], $2::real[], $3::real[]) AS new (id, figure, count)
             WHERE series_id = new.id AND hour = $5",
            &ids,
            &figures,
            &counts,
            slot,
            hour
        );
        write.execute(&mut *transaction).await.map_err(failed())?;
        let progress = sqlx::query!(
            "INSERT INTO trend_progress (analysed_through) VALUES ($1)
             -- A mark that lies ahead was set by a wrong clock.
             ON CONFLICT (is_it) DO UPDATE
             SET analysed_through = CASE WHEN trend_progress.analysed_through > now() THEN $1
                                         ELSE greatest(trend_progress.analysed_through, $1) END",
            at + TREND_STEP
        );
        progress.execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())
    }

    /// Series with figures since the hour of `since`.
    pub async fn active_trends(&self, since: DateTime<Utc>) -> Result<Vec<i32>, StoreError> {
        let active = sqlx::query_scalar!(
            "SELECT DISTINCT series_id FROM trend_hours WHERE hour >= $1 ORDER BY series_id",
            Resolution::Hour.bucket(since)
        );
        active.fetch_all(&self.pool).await.map_err(StoreError::query("look for series with figures"))
    }

    /// The detectors of these series.
    pub async fn trend_detectors(&self, series: &[i32]) -> Result<Vec<StoredDetector>, StoreError> {
        let detectors = sqlx::query_as!(
            StoredDetector,
            r#"SELECT id AS series_id, detector, detector_at FROM trend_series WHERE id = ANY ($1)"#,
            series
        );
        detectors.fetch_all(&self.pool).await.map_err(StoreError::query("read detectors"))
    }

    /// Stores detectors, packed, that know all before `at`.
    pub async fn store_trend_detectors(
        &self,
        at: DateTime<Utc>,
        detectors: &[(i32, Vec<u8>)],
    ) -> Result<(), StoreError> {
        let (ids, packed): (Vec<i32>, Vec<&[u8]>) =
            detectors.iter().map(|(id, packed)| (*id, packed.as_slice())).unzip();
        let store = sqlx::query!(
            "UPDATE trend_series SET detector = new.detector, detector_at = $3
             FROM unnest($1::integer[], $2::bytea[]) AS new (id, detector)
             WHERE trend_series.id = new.id",
            &ids,
            &packed as &[&[u8]],
            at
        );
        store.execute(&self.pool).await.map(drop).map_err(StoreError::query("store detectors"))
    }

    /// The past of these series from the hour of `since` on, by series and time.
    pub async fn trend_hours(
        &self,
        series: &[i32],
        since: DateTime<Utc>,
    ) -> Result<Vec<TrendHour>, StoreError> {
        let rows = sqlx::query_as!(
            HourRow,
            r#"
            SELECT series_id, hour, figures AS "figures: Vec<Option<f32>>", counts AS "counts: Vec<Option<f32>>"
            FROM trend_hours
            WHERE series_id = ANY ($1) AND hour >= $2
            ORDER BY series_id, hour
            "#,
            series,
            Resolution::Hour.bucket(since)
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read the past of series"))?;
        let steps = |row: &HourRow| {
            row.figures.iter().zip(&row.counts).map(|(figure, count)| figure.zip(*count)).collect()
        };
        Ok(rows
            .into_iter()
            .map(|row| TrendHour { series_id: row.series_id, hour: row.hour, steps: steps(&row) })
            .collect())
    }
}

pub(crate) fn metric(word: String) -> Result<Metric, StoreError> {
    Metric::from_word(&word).ok_or(StoreError::Word { what: "metric", word })
}

/// Arrays begin at 1.
fn slot_of(at: DateTime<Utc>) -> i32 {
    let seconds = at.timestamp().rem_euclid(3600);
    i32::try_from(seconds / TREND_STEP.num_seconds()).unwrap_or_default() + 1
}
