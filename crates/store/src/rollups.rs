//! `rollups`: what happened per minute, hour and day. A bucket is always made as a whole, from the raw rows or from the
//! smaller buckets, under a lock of its own; so it does not matter in which order data come, or how often.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{Postgres, Transaction};

use crate::Store;
use crate::error::StoreError;
use crate::partitions::{DATABASE_SPANS, HOURS, MINUTES, REQUESTS, is_without_partition};
use crate::rollup::Rollup;
use crate::series::Subject;

/// Buckets that one call makes of a resolution. More remain for the next.
const MAX_PER_CALL: i64 = 5_000;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    Minute,
    Hour,
    Day,
}

impl Resolution {
    pub(crate) const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    pub(crate) fn minutes(self) -> i16 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 1440,
        }
    }

    pub(crate) fn length(self) -> TimeDelta {
        TimeDelta::minutes(self.minutes().into())
    }

    /// The bucket that this time is in.
    pub(crate) fn bucket(self, time: DateTime<Utc>) -> DateTime<Utc> {
        time.duration_trunc(self.length()).unwrap_or(time)
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::Minute => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => None,
        }
    }
}

/// Requests in `[since, until)` of these series (all: none), counted by series and bucket of the sketch. Figures are
/// bounded as in `bounds.rs`, since an earlier version has stored any.
macro_rules! raw_requests {
    ($since:expr, $until:expr, $series:expr) => {
        sqlx::query_as!(
            $crate::rollup::Row,
            r#"
            SELECT series_id AS "series_id!", ceil(ln(greatest(ms, $4)) * $6)::integer AS sketch_bucket,
                   count(*) AS "count!", count(*) FILTER (WHERE is_failed) AS "errors!",
                   sum(ms) AS "sum_ms!", sum(ms * ms) AS "sum_squares_ms!", min(ms) AS "min_ms!", max(ms) AS "max_ms!",
                   sum(greatest(db_query_count, 0)) FILTER (WHERE db_query_count IS NOT NULL) AS db_query_count,
                   sum(db_ms) AS db_query_time_ms, sum(ms) FILTER (WHERE db_ms IS NOT NULL) AS db_told_ms,
                   sum(greatest(cache_hits, 0)) FILTER (WHERE cache_hits IS NOT NULL) AS cache_hits,
                   sum(greatest(cache_misses, 0)) FILTER (WHERE cache_misses IS NOT NULL) AS cache_misses,
                   NULL::bytea[] AS sketches
            FROM (
                SELECT series_id, coalesce(is_error, status_code >= 500) AS is_failed, db_query_count, cache_hits,
                       cache_misses,
                       CASE WHEN response_time_ms >= 1e-6 THEN least(response_time_ms, $5) ELSE 0 END AS ms,
                       CASE WHEN db_query_time_ms >= 1e-6 THEN least(db_query_time_ms, $5)
                            WHEN db_query_time_ms IS NOT NULL THEN 0 END AS db_ms
                FROM performance_metrics
                WHERE occurred_at >= $1 AND occurred_at < $2
                  AND series_id IS NOT NULL AND ($3::integer[] IS NULL OR series_id IN (SELECT unnest($3)))
            ) AS bounded
            GROUP BY series_id, sketch_bucket
            "#,
            $since,
            $until,
            $series as Option<&[i32]>,
            $crate::sketch::MIN_MS,
            $crate::sketch::MAX_MS,
            $crate::sketch::buckets_per_e()
        )
    };
}

/// Calls of databases in `[since, until)` of these series (all: none), counted in the same way.
macro_rules! raw_queries {
    ($since:expr, $until:expr, $series:expr) => {
        sqlx::query_as!(
            $crate::rollup::Row,
            r#"
            SELECT series_id AS "series_id!", ceil(ln(greatest(ms, $4)) * $6)::integer AS sketch_bucket,
                   count(*) AS "count!", count(*) FILTER (WHERE is_error) AS "errors!",
                   sum(ms) AS "sum_ms!", sum(ms * ms) AS "sum_squares_ms!", min(ms) AS "min_ms!", max(ms) AS "max_ms!",
                   NULL::bigint AS db_query_count,
                   NULL::float8 AS db_query_time_ms,
                   NULL::float8 AS db_told_ms,
                   count(*) FILTER (WHERE cache_hit) AS cache_hits,
                   count(*) FILTER (WHERE NOT cache_hit) AS cache_misses,
                   NULL::bytea[] AS sketches
            FROM (
                SELECT series_id, is_error, cache_hit,
                       CASE WHEN duration_ms >= 1e-6 THEN least(duration_ms, $5) ELSE 0 END AS ms
                FROM database_spans
                WHERE occurred_at >= $1 AND occurred_at < $2
                  AND NOT is_nested AND ($3::integer[] IS NULL OR series_id IN (SELECT unnest($3)))
            ) AS bounded
            GROUP BY series_id, sketch_bucket
            "#,
            $since,
            $until,
            $series as Option<&[i32]>,
            $crate::sketch::MIN_MS,
            $crate::sketch::MAX_MS,
            $crate::sketch::buckets_per_e()
        )
    };
}

/// Rollups in `[since, until)` of these series (all: none), added up by series; the sketches as they are. Sums of an
/// earlier version may be of any size.
macro_rules! rollups {
    ($resolution:expr, $subject:expr, $since:expr, $until:expr, $series:expr) => {
        sqlx::query_as!(
            $crate::rollup::Row,
            r#"
            SELECT series_id, sum(count)::bigint AS "count!", sum(errors)::bigint AS "errors!",
                   sum(least(sum_ms, 1e100)) AS "sum_ms!", sum(least(sum_squares_ms, 1e100)) AS "sum_squares_ms!",
                   min(min_ms) AS "min_ms!", max(max_ms) AS "max_ms!", sum(db_query_count)::bigint AS db_query_count,
                   sum(least(db_query_time_ms, 1e100)) FILTER (WHERE db_query_time_ms IS NOT NULL) AS db_query_time_ms,
                   sum(least(db_told_ms, 1e100)) FILTER (WHERE db_told_ms IS NOT NULL) AS db_told_ms,
                   sum(cache_hits)::bigint AS cache_hits,
                   sum(cache_misses)::bigint AS cache_misses, array_agg(sketch) AS sketches,
                   NULL::integer AS sketch_bucket
            FROM rollups
            WHERE resolution = $1 AND subject = $2 AND bucket >= $3 AND bucket < $4
              AND ($5::integer[] IS NULL OR series_id IN (SELECT unnest($5)))
            GROUP BY series_id
            "#,
            $resolution.minutes(),
            $subject.as_str(),
            $since,
            $until,
            $series as Option<&[i32]>
        )
    };
}
pub(crate) use {raw_queries, raw_requests, rollups};

/// Buckets that were handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RolledUp {
    /// Made from their rows.
    pub made: u64,
    /// Left as they are: their rows are not all kept any more.
    pub skipped: u64,
}

/// Rollups that cannot be made for now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedRollups {
    /// How many.
    pub count: i64,
    /// Why not, of the last one that was tried.
    pub error: Option<String>,
}

/// A bucket to be made.
struct Stale {
    subject: String,
    bucket: DateTime<Utc>,
}

impl Store {
    /// Makes the buckets whose data have changed, the newest first; says how many. Safe to call from many processes.
    /// A bucket that cannot be made is set aside for a while, and logged.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn roll_up(&self) -> Result<u64, StoreError> {
        self.roll_up_some(MAX_PER_CALL).await.map(|done| done.made + done.skipped)
    }

    /// The same for at most so many buckets of each resolution.
    pub async fn roll_up_some(&self, most: i64) -> Result<RolledUp, StoreError> {
        let mut done = RolledUp::default();
        for resolution in Resolution::ALL {
            let stale = sqlx::query_as!(
                Stale,
                "SELECT DISTINCT subject, bucket FROM rollup_backlog
                 WHERE resolution = $1 AND NOT EXISTS (
                     SELECT FROM rollup_failures AS failed
                     WHERE failed.resolution = rollup_backlog.resolution AND failed.subject = rollup_backlog.subject
                       AND failed.bucket = rollup_backlog.bucket AND failed.retry_at > now()
                 )
                 ORDER BY bucket DESC LIMIT $2",
                resolution.minutes(),
                most
            );
            let stale = stale
                .fetch_all(&self.pool)
                .await
                .map_err(StoreError::query("look for rollups to be made"))?;
            for Stale { subject, bucket } in stale {
                let Some(subject) = Subject::from_word(&subject) else { continue };
                match self.make_bucket(resolution, subject, bucket).await {
                    Ok(true) => done.made += 1,
                    Ok(false) => done.skipped += 1,
                    Err(error) if error.is_unavailable() => return Err(error),
                    Err(error) => self.set_aside(resolution, subject, bucket, &error).await?,
                }
            }
        }
        Ok(done)
    }

    /// Lets a bucket that could not be made wait: a minute at first, then twice as long each time, up to some hours.
    async fn set_aside(
        &self,
        resolution: Resolution,
        subject: Subject,
        bucket: DateTime<Utc>,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        let reason = error.reason();
        let note = sqlx::query_scalar!(
            r#"
            INSERT INTO rollup_failures AS failed
                (resolution, subject, bucket, failures, failed_at, retry_at, error)
            VALUES ($1, $2, $3, 1, now(), now() + interval '1 minute', $4)
            ON CONFLICT (resolution, subject, bucket) DO UPDATE
            SET failures = failed.failures + 1, failed_at = now(), error = excluded.error,
                retry_at = now() + interval '1 minute' * 2 ^ least(failed.failures, 8)
            RETURNING failures
            "#,
            resolution.minutes(),
            subject.as_str(),
            bucket,
            reason
        );
        let failures = note.fetch_one(&self.pool).await.map_err(StoreError::query("set a rollup aside"))?;
        tracing::error!(
            resolution = resolution.minutes(),
            subject = subject.as_str(),
            bucket = %bucket,
            failures,
            error = reason,
            "a rollup cannot be made, and is set aside: {reason}"
        );
        Ok(())
    }

    /// Minutes in `[since, until)` that are over and whose rows are not in the rollups yet.
    pub async fn minutes_not_rolled_up(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        let minutes = sqlx::query_scalar!(
            r#"SELECT count(DISTINCT bucket) AS "minutes!" FROM rollup_backlog
               WHERE resolution = 1 AND subject IN ('request', 'query') AND bucket >= $1 AND bucket < $2
                 AND bucket < now() - interval '2 minutes'"#,
            since,
            until
        );
        minutes.fetch_one(&self.pool).await.map_err(StoreError::query("look which rollups are missing"))
    }

    /// Rollups that cannot be made for now.
    pub async fn failed_rollups(&self) -> Result<FailedRollups, StoreError> {
        let failed = sqlx::query_as!(
            FailedRollups,
            r#"SELECT count(*) AS "count!", (array_agg(error ORDER BY failed_at DESC))[1] AS error
               FROM rollup_failures"#
        );
        failed.fetch_one(&self.pool).await.map_err(StoreError::query("read which rollups failed"))
    }

    /// Notes the minutes in `[since, until)` to be made anew from their rows; says how many. Rows that a version before
    /// rollups has stored are given their series.
    pub async fn doubt_rollups(&self, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(StoreError::query("connect to Postgres"))?;
        let adopt = sqlx::query!(
            "UPDATE performance_metrics
             SET series_id = metric_series_id('request', service, tenant, method, endpoint, NULL, $3)
             WHERE series_id IS NULL AND occurred_at >= $1 AND occurred_at < $2",
            since,
            until,
            Subject::Request.max_series()
        );
        adopt.execute(&mut *transaction).await.map_err(StoreError::query("give rows their series"))?;
        let doubt = sqlx::query!(
            "INSERT INTO rollup_backlog (resolution, subject, bucket)
             SELECT 1, 'request', date_trunc('minute', occurred_at)
             FROM performance_metrics WHERE occurred_at >= $1 AND occurred_at < $2
             UNION
             SELECT 1, 'query', date_trunc('minute', occurred_at)
             FROM database_spans WHERE occurred_at >= $1 AND occurred_at < $2
             UNION
             SELECT 1, subject, bucket FROM rollups WHERE resolution = 1 AND bucket >= $1 AND bucket < $2",
            since,
            until
        );
        let retry = sqlx::query!("UPDATE rollup_failures SET retry_at = now()");
        retry.execute(&mut *transaction).await.map_err(StoreError::query("note rollups to be made"))?;
        let minutes =
            doubt.execute(&mut *transaction).await.map_err(StoreError::query("note rollups to be made"))?;
        transaction.commit().await.map_err(StoreError::query("note rollups to be made"))?;
        Ok(minutes.rows_affected())
    }

    async fn make_bucket(
        &self,
        resolution: Resolution,
        subject: Subject,
        bucket: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        if resolution == Resolution::Minute {
            self.ensure_known_day(MINUTES, bucket.date_naive()).await?;
        }
        let mut transaction = self.pool.begin().await.map_err(StoreError::query("connect to Postgres"))?;
        let made = make(&mut transaction, resolution, subject, bucket).await;
        if made.as_ref().is_err_and(is_without_partition) {
            // Another process has dropped a day that this one knows.
            self.forget_days(MINUTES);
        }
        let made = made.map_err(StoreError::query("make a rollup"))?;
        transaction.commit().await.map_err(StoreError::query("make a rollup"))?;
        Ok(made)
    }
}

/// False when the rows that it is made of are not all there any more.
async fn make(
    transaction: &mut Transaction<'_, Postgres>,
    resolution: Resolution,
    subject: Subject,
    bucket: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let lock = sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtext('dogwatch rollup'), hashtext($1 || $2::smallint || $3::timestamptz))",
        subject.as_str(),
        resolution.minutes(),
        bucket
    );
    lock.execute(&mut **transaction).await?;
    // What is noted from here on is not part of what is read below, or is made once more.
    let noted = sqlx::query!(
        "WITH made AS (DELETE FROM rollup_failures WHERE resolution = $1 AND subject = $2 AND bucket = $3)
         DELETE FROM rollup_backlog WHERE resolution = $1 AND subject = $2 AND bucket = $3",
        resolution.minutes(),
        subject.as_str(),
        bucket
    );
    if noted.execute(&mut **transaction).await?.rows_affected() == 0 {
        // Another process has just made it.
        return Ok(true);
    }
    let source = match (resolution, subject) {
        (Resolution::Minute, Subject::Request) => REQUESTS,
        (Resolution::Minute, Subject::Query) => DATABASE_SPANS,
        (Resolution::Hour, _) => MINUTES,
        (Resolution::Day, _) => HOURS,
    };
    if !is_whole(transaction, source, bucket).await? {
        return Ok(false);
    }
    let end = bucket + resolution.length();
    let rows = match (resolution, subject) {
        (Resolution::Minute, Subject::Request) => {
            raw_requests!(bucket, end, None).fetch_all(&mut **transaction).await?
        }
        (Resolution::Minute, Subject::Query) => {
            raw_queries!(bucket, end, None).fetch_all(&mut **transaction).await?
        }
        (Resolution::Hour, _) => {
            rollups!(Resolution::Minute, subject, bucket, end, None).fetch_all(&mut **transaction).await?
        }
        (Resolution::Day, _) => {
            rollups!(Resolution::Hour, subject, bucket, end, None).fetch_all(&mut **transaction).await?
        }
    };
    let mut rollups: BTreeMap<i32, Rollup> = BTreeMap::new();
    for row in &rows {
        rollups.entry(row.series_id).or_default().add(row);
    }
    replace(transaction, resolution, subject, bucket, &rollups).await?;
    if let Some(next) = resolution.next() {
        let note = sqlx::query!(
            "INSERT INTO rollup_backlog (resolution, subject, bucket) VALUES ($1, $2, $3)",
            next.minutes(),
            subject.as_str(),
            next.bucket(bucket)
        );
        note.execute(&mut **transaction).await?;
    }
    Ok(true)
}

/// Whether the rows that a bucket is made of are still all there.
async fn is_whole(
    transaction: &mut Transaction<'_, Postgres>,
    table: &str,
    bucket: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let kept = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (
               SELECT FROM kept_since WHERE table_name = $1 AND since > $2 AND since <= now()
           ) AS "whole!""#,
        table,
        bucket
    );
    kept.fetch_one(&mut **transaction).await
}

/// Writes the rows of a bucket, and removes what is no longer in it.
async fn replace(
    transaction: &mut Transaction<'_, Postgres>,
    resolution: Resolution,
    subject: Subject,
    bucket: DateTime<Utc>,
    rollups: &BTreeMap<i32, Rollup>,
) -> sqlx::Result<()> {
    macro_rules! column {
        ($value:expr) => {
            &rollups.values().map($value).collect::<Vec<_>>()
        };
    }
    let series = &rollups.keys().copied().collect::<Vec<_>>();
    let gone = sqlx::query!(
        "DELETE FROM rollups WHERE resolution = $1 AND subject = $2 AND bucket = $3 AND series_id <> ALL ($4)",
        resolution.minutes(),
        subject.as_str(),
        bucket,
        series
    );
    gone.execute(&mut **transaction).await?;
    let write = sqlx::query!(
        r#"
        INSERT INTO rollups (
            resolution, subject, bucket, series_id, count, errors, sum_ms, sum_squares_ms, min_ms, max_ms,
            db_query_count, db_query_time_ms, db_told_ms, cache_hits, cache_misses, sketch
        )
        SELECT $1, $2, $3, made.* FROM unnest(
            $4::integer[], $5::bigint[], $6::bigint[], $7::float8[], $8::float8[], $9::float8[], $10::float8[],
            $11::bigint[], $12::float8[], $13::float8[], $14::bigint[], $15::bigint[], $16::bytea[]
        ) AS made
        ON CONFLICT (resolution, subject, bucket, series_id) DO UPDATE
        SET count = excluded.count, errors = excluded.errors, sum_ms = excluded.sum_ms,
            sum_squares_ms = excluded.sum_squares_ms, min_ms = excluded.min_ms, max_ms = excluded.max_ms,
            db_query_count = excluded.db_query_count, db_query_time_ms = excluded.db_query_time_ms,
            db_told_ms = excluded.db_told_ms, cache_hits = excluded.cache_hits,
            cache_misses = excluded.cache_misses, sketch = excluded.sketch
        "#,
        resolution.minutes(),
        subject.as_str(),
        bucket,
        series,
        column!(|rollup| rollup.count),
        column!(|rollup| rollup.errors),
        column!(|rollup| rollup.sum_ms),
        column!(|rollup| rollup.sum_squares_ms),
        column!(|rollup| rollup.min_ms),
        column!(|rollup| rollup.max_ms),
        column!(|rollup| rollup.db_query_count) as &[Option<i64>],
        column!(|rollup| rollup.db_query_time_ms) as &[Option<f64>],
        column!(|rollup| rollup.db_told_ms) as &[Option<f64>],
        column!(|rollup| rollup.cache_hits) as &[Option<i64>],
        column!(|rollup| rollup.cache_misses) as &[Option<i64>],
        column!(|rollup| rollup.sketch.to_bytes()),
    );
    write.execute(&mut **transaction).await.map(drop)
}
