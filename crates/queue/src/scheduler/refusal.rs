//! A version of schedules.toml that the leader refuses, noted in Redis: the file looks as if it were in force, and
//! an earlier version is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::book::Book;
use super::leader::Lead;
use crate::client::Client;
use crate::error::QueueError;

/// A file that is not in force, because it is wrong. The version before it stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedFile {
    /// Since when.
    pub since: DateTime<Utc>,
    /// What is wrong, and where.
    pub error: String,
}

/// The note of a leader.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Whether Redis has what this leader noted last.
    is_written: bool,
    error: Option<String>,
}

impl Note {
    /// Notes in Redis what this leader refuses, when that has changed.
    pub(super) async fn update(
        &mut self,
        client: &Client,
        book: &Book,
        error: Option<&str>,
        lead: &Lead,
    ) -> Result<(), QueueError> {
        if self.is_written && self.error.as_deref() == error {
            return Ok(());
        }
        let key = client.book(book).refused;
        let command = match error {
            Some(error) => {
                let since = DateTime::from_timestamp_millis(lead.now().as_millisecond()).unwrap_or_default();
                let refused = RefusedFile { since, error: error.to_owned() };
                redis::Cmd::set(key, serde_json::to_string(&refused).unwrap_or_default())
            }
            None => redis::Cmd::del(key),
        };
        command
            .query_async::<()>(&mut client.connection())
            .await
            .map_err(QueueError::redis("note that schedules.toml is refused"))?;
        (self.is_written, self.error) = (true, error.map(str::to_owned));
        Ok(())
    }

    /// Another may have noted something since.
    pub(super) fn forget(&mut self) {
        self.is_written = false;
    }
}
