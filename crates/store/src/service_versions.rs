//! `service_versions`: which version of a service was seen first when, as its spans tell it.

use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::StoreError;
use crate::trend_findings::SeenVersion;

impl Store {
    /// Notes that a service runs this version; what was noted before stays.
    pub async fn note_version(
        &self,
        service: &str,
        version: &str,
        seen_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let note = sqlx::query!(
            "INSERT INTO service_versions (service, version, first_seen_at) VALUES ($1, $2, $3)
             ON CONFLICT DO NOTHING",
            service,
            version,
            seen_at
        );
        note.execute(&self.pool).await.map(drop).map_err(StoreError::query("note a version"))
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
