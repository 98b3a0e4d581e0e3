//! `metric_series`: what is measured over time. A series is named by a number, which is looked up once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::Store;
use crate::error::StoreError;

/// Numbers that are remembered. Beyond that all are asked for again.
const MAX_REMEMBERED: usize = 200_000;

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

/// The numbers of series that are known.
#[derive(Debug, Default)]
pub(crate) struct KnownSeries(Mutex<HashMap<SeriesKey, i32>>);

impl KnownSeries {
    fn get(&self, key: &SeriesKey) -> Option<i32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn insert(&self, key: SeriesKey, id: i32) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(key, id);
    }
}

impl Store {
    /// The number of a series; made when there is none.
    pub(crate) async fn series_id(&self, key: SeriesKey) -> Result<i32, StoreError> {
        if let Some(id) = self.known_series.get(&key) {
            return Ok(id);
        }
        let id = sqlx::query_scalar!(
            r#"SELECT metric_series_id($1, $2, $3, $4, $5, $6, $7) AS "id!""#,
            key.subject.as_str(),
            key.service,
            key.tenant.as_deref(),
            key.method.as_deref(),
            key.endpoint.as_deref(),
            key.fingerprint,
            key.subject.max_series()
        );
        let id = id.fetch_one(&self.pool).await.map_err(StoreError::query("look for a series"))?;
        self.known_series.insert(key, id);
        Ok(id)
    }
}
