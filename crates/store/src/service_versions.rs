//! `service_versions`: which version of a service was seen first when, as its spans tell it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::StoreError;
use crate::trend_findings::SeenVersion;

/// Versions of a service that are kept: who makes up a new one with each start has no versions.
const MAX_VERSIONS: i64 = 1000;
/// Versions that are remembered. Beyond that all are asked for again.
const MAX_REMEMBERED: usize = 10_000;

/// Services and versions that are noted.
#[derive(Debug, Default)]
pub(crate) struct KnownVersions(Mutex<HashSet<(String, String)>>);

impl KnownVersions {
    /// True when it was not known. It is from now on.
    fn remember(&self, service: &str, version: &str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert((service.to_owned(), version.to_owned()))
    }

    fn forget(&self, service: &str, version: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&(service.to_owned(), version.to_owned()));
    }
}

impl Store {
    /// Notes that a service runs this version; what was noted before stays.
    pub async fn note_version(
        &self,
        service: &str,
        version: &str,
        seen_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if !self.known_versions.remember(service, version) {
            return Ok(());
        }
        let note = sqlx::query!(
            "INSERT INTO service_versions (service, version, first_seen_at)
             SELECT $1, $2, $3 WHERE (SELECT count(*) FROM service_versions WHERE service = $1) < $4
                -- Not of a service that is counted as `(other)`.
                AND EXISTS (SELECT FROM metric_series WHERE service = $1)
             ON CONFLICT DO NOTHING",
            service,
            version,
            seen_at,
            MAX_VERSIONS
        );
        let noted = note.execute(&self.pool).await.map(drop).map_err(StoreError::query("note a version"));
        noted.inspect_err(|_| self.known_versions.forget(service, version))
    }

    /// The version of a service that was seen first between two times, the last of several. The very first that was seen of
    /// a service is no change.
    pub async fn version_seen_between(
        &self,
        service: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Option<SeenVersion>, StoreError> {
        let version = sqlx::query_as!(
            SeenVersion,
            "SELECT version, first_seen_at FROM service_versions AS seen
             WHERE service = $1 AND first_seen_at >= $2 AND first_seen_at <= $3
               AND EXISTS (
                   SELECT FROM service_versions AS earlier
                   WHERE earlier.service = $1 AND earlier.first_seen_at < seen.first_seen_at
               )
             ORDER BY first_seen_at DESC LIMIT 1",
            service,
            from,
            to
        );
        version.fetch_optional(&self.pool).await.map_err(StoreError::query("look for a version"))
    }
}
