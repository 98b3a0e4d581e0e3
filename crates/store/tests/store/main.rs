//! What the tables promise, on a real Postgres; each test in a database of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod documents;
mod health;
mod metrics;
mod notifications;
mod partitions;
mod rollups;
mod server;

use chrono::{DateTime, Utc};
use dogwatch_store::{NewAlert, Settings, Severity, Store};
use dogwatch_testing::TestDatabase;

async fn store() -> (TestDatabase, Store) {
    let database = TestDatabase::new().await;
    let store =
        Store::connect(&database.url(), &Settings { max_connections: 20, ..Settings::for_tests() }).unwrap();
    (database, store)
}

fn time(text: &str) -> DateTime<Utc> {
    format!("2026-05-20T{text}Z").parse().unwrap()
}

fn alert(fingerprint: &str) -> NewAlert {
    NewAlert {
        fingerprint: fingerprint.to_owned(),
        alert_type: "error_rate".to_owned(),
        severity: Severity::High,
        title: "shop fails".to_owned(),
        description: "10 of 20".to_owned(),
        service: Some("shop".to_owned()),
        endpoint: None,
        host: None,
        value: Some(50.0),
        threshold: Some(5.0),
        unit: Some("%".to_owned()),
    }
}

fn channels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// On a connection that keeps its transaction and its settings.
async fn run(connection: &mut sqlx::PgConnection, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(connection).await.unwrap();
}
