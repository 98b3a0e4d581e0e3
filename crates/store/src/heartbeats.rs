//! `heartbeats`: services that tell of themselves, such as a nightly job that says when it is done.

use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::StoreError;

impl Store {
    /// Notes that a service has told of itself.
    pub async fn beat(&self, name: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let beat = sqlx::query!(
            "INSERT INTO heartbeats (name, last_at) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET
                 -- A mark that lies ahead was set by a wrong clock.
                 last_at = CASE WHEN heartbeats.last_at > now() THEN excluded.last_at
                                ELSE greatest(heartbeats.last_at, excluded.last_at) END,
                 beats = heartbeats.beats + 1",
            name,
            now
        );
        beat.execute(&self.pool).await.map(drop).map_err(StoreError::query("note a heartbeat"))
    }

    /// When it told of itself last.
    pub async fn last_beat(&self, name: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let last = sqlx::query_scalar!("SELECT last_at FROM heartbeats WHERE name = $1", name);
        last.fetch_optional(&self.pool).await.map_err(StoreError::query("read a heartbeat"))
    }
}
