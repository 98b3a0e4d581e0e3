//! `metric_series`: what is measured over time. A series is named by a number, which is looked up once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::StoreError;

/// Memory for numbers that are remembered. Beyond that all are asked for again.
const MAX_REMEMBERED_BYTES: usize = 32 << 20;
/// Names that are counted as `(other)` and remembered, and for how long.
const MAX_OTHERS: usize = 10_000;
const OTHERS_FRESH: Duration = Duration::from_mins(5);
/// Services that an owner may have.
const MAX_SERVICES: i64 = 1000;
/// An owner may have series of a subject for so many services that each have all they may.
const MAX_SHARES: i64 = 20;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Requests that an endpoint answers.
    Request,
    /// Calls of a query.
    Query,
}

impl Subject {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Query => "query",
        }
    }

    /// Series of it that a service may have; what comes beyond is counted as `(other)`.
    pub(crate) fn max_series(self) -> i64 {
        match self {
            Self::Request => 1000,
            // Each endpoint has queries of its own.
            Self::Query => 5000,
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Request, Self::Query].into_iter().find(|subject| subject.as_str() == word)
    }
}

/// What a series is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SeriesKey {
    pub(crate) subject: Subject,
    pub(crate) service: String,
    pub(crate) tenant: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) fingerprint: Option<i64>,
}

impl SeriesKey {
    fn bytes(&self) -> usize {
        let texts =
            [&self.tenant, &self.method, &self.endpoint].map(|text| text.as_ref().map_or(0, String::len));
        size_of::<Self>() + self.service.len() + texts.iter().sum::<usize>()
    }
}

/// Who sends what is measured: the number of series is bounded for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeriesOwner(Arc<str>);

impl SeriesOwner {
    /// A key of the API, by its tenant, or else by its name; without a name nobody needed one.
    pub fn of(tenant: Option<&str>, key: Option<&str>) -> Self {
        Self(match tenant {
            Some(tenant) => format!("tenant:{tenant}").into(),
            None => format!("key:{}", key.unwrap_or_default()).into(),
        })
    }
}

impl SeriesOwner {
    /// As it stands in the database.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.into())
    }
}

impl Default for SeriesOwner {
    fn default() -> Self {
        Self::of(None, None)
    }
}

/// A series, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeriesId {
    pub(crate) id: i32,
    /// Its owner has reached a limit: it is counted together with others.
    pub(crate) is_other: bool,
}

/// The numbers of series that are known.
#[derive(Debug, Default)]
pub(crate) struct KnownSeries(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    series: HashMap<SeriesKey, i32>,
    bytes: usize,
    /// What is counted as `(other)`, and when that is looked at again: places become free.
    others: HashMap<(SeriesOwner, SeriesKey), (i32, Instant)>,
}

impl KnownSeries {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, owner: &SeriesOwner, key: &SeriesKey) -> Option<SeriesId> {
        let known = self.known();
        if let Some(id) = known.series.get(key) {
            return Some(SeriesId { id: *id, is_other: false });
        }
        let (id, until) = known.others.get(&(owner.clone(), key.clone()))?;
        (*until > Instant::now()).then_some(SeriesId { id: *id, is_other: true })
    }

    fn insert(&self, owner: SeriesOwner, key: SeriesKey, SeriesId { id, is_other }: SeriesId) {
        let mut known = self.known();
        if is_other {
            if known.others.len() >= MAX_OTHERS {
                known.others.clear();
            }
            known.others.insert((owner, key), (id, Instant::now() + OTHERS_FRESH));
            return;
        }
        if known.bytes >= MAX_REMEMBERED_BYTES {
            known.series.clear();
            known.bytes = 0;
        }
        known.bytes += key.bytes();
        known.series.insert(key, id);
    }
}

/// A limit of series that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesLimit {
    /// Who has reached it: `key:NAME` or `tenant:NAME`.
    pub owner: String,
    /// In which service; empty: it is about the number of services.
    pub service: String,
    /// What is counted as `(other)`: `request`, `query` or `service`.
    pub subject: String,
}

impl Store {
    /// The number of a series; made when there is none.
    pub(crate) async fn series_id(
        &self,
        owner: &SeriesOwner,
        key: SeriesKey,
    ) -> Result<SeriesId, StoreError> {
        if let Some(id) = self.known_series.get(owner, &key) {
            return Ok(id);
        }
        let found = sqlx::query_as!(
            SeriesId,
            r#"SELECT id AS "id!", is_other AS "is_other!"
               FROM metric_series_of($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"#,
            &*owner.0,
            key.subject.as_str(),
            key.service,
            key.tenant.as_deref(),
            key.method.as_deref(),
            key.endpoint.as_deref(),
            key.fingerprint,
            key.subject.max_series(),
            key.subject.max_series() * MAX_SHARES,
            MAX_SERVICES
        );
        let found = found.fetch_one(&self.pool).await.map_err(StoreError::query("look for a series"))?;
        self.known_series.insert(owner.clone(), key, found);
        Ok(found)
    }

    /// Counts the series of each owner anew, of those that were seen since this time: places of others are free.
    pub async fn count_series(&self, since: DateTime<Utc>) -> Result<(), StoreError> {
        let failed = || StoreError::query("count series");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let lock = sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtext('dogwatch series are counted'))::text AS locked"
        );
        lock.fetch_one(&mut *transaction).await.map_err(failed())?;
        let forget = sqlx::query!("DELETE FROM series_counts");
        forget.execute(&mut *transaction).await.map_err(failed())?;
        let count = sqlx::query!(
            "WITH seen AS (
                 SELECT owner, service, subject FROM metric_series
                 WHERE created_at >= $1 OR id IN (
                     SELECT series_id FROM rollups
                     WHERE resolution = 1440 AND subject IN ('request', 'query') AND bucket >= $1
                 )
             )
             INSERT INTO series_counts (owner, service, subject, count)
             SELECT owner, service, subject, count(*) FROM seen GROUP BY owner, service, subject
             UNION ALL SELECT owner, '', subject, count(*) FROM seen GROUP BY owner, subject
             UNION ALL SELECT owner, '', 'service', count(DISTINCT service) FROM seen GROUP BY owner",
            since
        );
        count.execute(&mut *transaction).await.map_err(failed())?;
        let forget = sqlx::query!("DELETE FROM series_limits_reached WHERE last_at < $1", since);
        forget.execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())
    }

    /// Limits that were reached since this time; a thousand of them at most, the last ones.
    pub async fn series_limits_reached(&self, since: DateTime<Utc>) -> Result<Vec<SeriesLimit>, StoreError> {
        let reached = sqlx::query_as!(
            SeriesLimit,
            "SELECT owner, service, subject FROM series_limits_reached WHERE last_at >= $1
             ORDER BY last_at DESC LIMIT 1000",
            since
        );
        reached.fetch_all(&self.pool).await.map_err(StoreError::query("read which limits were reached"))
    }
}
