//! What happened in one bucket or in many, added up: figures, and a sketch for the quantiles.

use crate::sketch::Sketch;

/// What happened, in one bucket or in many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rollup {
    pub(crate) count: i64,
    pub(crate) errors: i64,
    pub(crate) sum_ms: f64,
    pub(crate) sum_squares_ms: f64,
    pub(crate) min_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) db_query_count: Option<i64>,
    pub(crate) db_query_time_ms: Option<f64>,
    pub(crate) db_told_ms: Option<f64>,
    pub(crate) cache_hits: Option<i64>,
    pub(crate) cache_misses: Option<i64>,
    pub(crate) sketch: Sketch,
}

/// Rows of `rollups` of a series added up, or the same made from raw rows.
pub(crate) struct Row {
    pub(crate) series_id: i32,
    pub(crate) count: i64,
    pub(crate) errors: i64,
    pub(crate) sum_ms: f64,
    pub(crate) sum_squares_ms: f64,
    pub(crate) min_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) db_query_count: Option<i64>,
    pub(crate) db_query_time_ms: Option<f64>,
    pub(crate) db_told_ms: Option<f64>,
    pub(crate) cache_hits: Option<i64>,
    pub(crate) cache_misses: Option<i64>,
    /// Absent: all of them are of one bucket of the sketch.
    pub(crate) sketches: Option<Vec<Vec<u8>>>,
    pub(crate) sketch_bucket: Option<i32>,
}

impl From<&Row> for Rollup {
    /// Its figures alone; the sketches are added by [`Rollup::add`].
    fn from(row: &Row) -> Self {
        Self {
            count: row.count,
            errors: row.errors,
            sum_ms: row.sum_ms,
            sum_squares_ms: row.sum_squares_ms,
            min_ms: row.min_ms,
            max_ms: row.max_ms,
            db_query_count: row.db_query_count,
            db_query_time_ms: row.db_query_time_ms,
            db_told_ms: row.db_told_ms,
            cache_hits: row.cache_hits,
            cache_misses: row.cache_misses,
            sketch: Sketch::default(),
        }
    }
}

impl Rollup {
    pub(crate) fn add(&mut self, row: &Row) {
        self.merge(&Self::from(row));
        if let Some(bucket) = row.sketch_bucket {
            self.sketch.add(bucket, row.count.unsigned_abs());
        }
        let mut sketches = row.sketches.iter().flatten();
        if !sketches.all(|bytes| self.sketch.merge(bytes)) {
            tracing::warn!(
                series = row.series_id,
                "a rollup has a sketch that cannot be read; `rollups rebuild` mends it"
            );
        }
    }

    /// Adds what has been added up already: to unpack a sketch takes longer than to add it.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.min_ms = if self.count == 0 { other.min_ms } else { self.min_ms.min(other.min_ms) };
        self.max_ms = self.max_ms.max(other.max_ms);
        self.count += other.count;
        self.errors += other.errors;
        self.sum_ms += other.sum_ms;
        self.sum_squares_ms += other.sum_squares_ms;
        self.db_query_count = sum(self.db_query_count, other.db_query_count);
        self.db_query_time_ms = sum(self.db_query_time_ms, other.db_query_time_ms);
        self.db_told_ms = sum(self.db_told_ms, other.db_told_ms);
        self.cache_hits = sum(self.cache_hits, other.cache_hits);
        self.cache_misses = sum(self.cache_misses, other.cache_misses);
        self.sketch.merge_counts(&other.sketch);
    }

    /// Mean; `None` without a value.
    pub(crate) fn mean_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ms / self.count as f64)
    }

    /// Standard deviation of the sample; 0 with one value.
    pub(crate) fn stddev_ms(&self) -> f64 {
        let count = self.count as f64;
        if self.count < 2 {
            return 0.0;
        }
        ((self.sum_squares_ms - self.sum_ms * self.sum_ms / count) / (count - 1.0)).max(0.0).sqrt()
    }

    /// The value below which this part lies, with a relative error below 1 %; `None` without a value.
    pub(crate) fn quantile_ms(&self, part: f64) -> Option<f64> {
        Some(self.sketch.quantile(part)?.clamp(self.min_ms, self.max_ms))
    }
}

fn sum<T: std::ops::Add<Output = T>>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}
