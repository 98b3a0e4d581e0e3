//! Reads what watched databases say of their queries (`pg_stat_statements`): calls, time, rows and blocks as the server
//! counts them, to stand beside the endpoints that make these queries. They meet by our own fingerprint.
//!
//! A database that cannot be read is a finding, and keeps no other from being read. Safe to run twice: what was counted
//! since the look before is kept, and nothing is counted twice.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_sql::{Dialect, normalize};
use dogwatch_store::{Store, StoreError, read_statements};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::services::Services;
use crate::watched_database::WatchedDatabase;

/// No arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadQueryStatistics {}

/// What was read.
#[derive(Debug, Default, Serialize)]
pub struct ReadStatistics {
    /// Queries of each database that ran since the look before.
    queries: BTreeMap<String, u64>,
    /// Why a database could not be read.
    errors: BTreeMap<String, String>,
}

impl Job for ReadQueryStatistics {
    const NAME: &'static str = "read_query_statistics";
    const RETRY: Retry = Retry::exponential(5, secs(5), mins(1));
    const TIMEOUT: Duration = mins(5);
    type Context = Services;
    type Outcome = ReadStatistics;

    async fn run(self, cx: &Run<Services>) -> Result<ReadStatistics, JobError> {
        Ok(read_all(&cx.watched_databases, &cx.store, cx.clock.now()).await?)
    }
}

async fn read_all(
    databases: &[WatchedDatabase],
    store: &Store,
    now: DateTime<Utc>,
) -> Result<ReadStatistics, StoreError> {
    let mut outcome = ReadStatistics::default();
    for database in databases {
        let name = database.name.clone();
        match read(database, store, now).await? {
            Ok(queries) => drop(outcome.queries.insert(name, queries)),
            Err(reason) => {
                tracing::warn!(database = name, reason, "a watched database cannot be read");
                outcome.errors.insert(name, reason);
            }
        }
    }
    Ok(outcome)
}

/// How many queries ran since the look before, or why it is not known.
async fn read(
    database: &WatchedDatabase,
    store: &Store,
    now: DateTime<Utc>,
) -> Result<Result<u64, String>, StoreError> {
    let statements = match read_statements(database.url.expose_secret(), database.timeout).await {
        Ok(statements) => statements,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let statements: Vec<_> = statements
        .into_iter()
        .map(|statement| (normalize(&statement.text, Dialect::Postgres).fingerprint.cast_signed(), statement))
        .collect();
    store.record_statements(&database.name, now, &statements).await.map(Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;

    #[tokio::test]
    async fn a_database_that_cannot_be_read_is_told_of_and_keeps_no_other() {
        let bench = Bench::new("").await;
        let plain = bench.database.url();
        let watched = |name: &str, url: &str| WatchedDatabase::new(name, url.into());
        // One that is away, and one without the extension.
        let databases = [watched("away", "postgres://nobody@127.0.0.1:1/none"), watched("plain", &plain)];
        let outcome = read_all(&databases, &bench.cx.store, bench.cx.clock.now()).await.unwrap();
        assert!(outcome.queries.is_empty());
        assert!(outcome.errors["away"].contains("refused"), "{outcome:?}");
        assert!(outcome.errors["plain"].contains("CREATE EXTENSION pg_stat_statements"), "{outcome:?}");
    }

    #[test]
    fn arguments_of_yesterday_are_understood() {
        assert!(serde_json::from_str::<ReadQueryStatistics>("{}").is_ok());
    }
}
