//! What the tables promise, on a real Postgres; each test in a database of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod deliveries;
mod documents;
mod health;
mod metrics;
mod partitions;
mod rollups;
mod server;
mod transport;
mod trends;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{Severity, Status};
use dogwatch_store::{Alert, AlertEvent, NewNotification, Settings, Store, StoreError};
use dogwatch_testing::TestDatabase;
use uuid::Uuid;

async fn store() -> (TestDatabase, Store) {
    let database = TestDatabase::new().await;
    let store =
        Store::connect(&database.url(), &Settings { max_connections: 20, ..Settings::for_tests() }).unwrap();
    (database, store)
}

fn time(text: &str) -> DateTime<Utc> {
    format!("2026-05-20T{text}Z").parse().unwrap()
}

/// An alert that is raised now.
fn alert(fingerprint: &str, now: DateTime<Utc>) -> Alert {
    Alert {
        id: Uuid::now_v7(),
        fingerprint: fingerprint.to_owned(),
        alert_type: "error_rate".to_owned(),
        severity: Severity::High,
        title: "shop fails".to_owned(),
        description: "10 of 20".to_owned(),
        tenant: None,
        service: Some("shop".to_owned()),
        endpoint: None,
        host: None,
        reported_by: None,
        labels: [("service".to_owned(), "shop".to_owned())].into(),
        value: Some(50.0),
        threshold: Some(5.0),
        unit: Some("%".to_owned()),
        status: Status::Active,
        occurrences: 1,
        first_seen_at: now,
        last_seen_at: now,
        raised_at: Some(now),
        reopened: 0,
        is_flapping: false,
        acknowledged_at: None,
        acknowledged_by: None,
        note: None,
        resolved_at: None,
        pending_since: None,
        calm_since: None,
        changes: Vec::new(),
    }
}

fn told(channels: &[&str], event: AlertEvent) -> Vec<NewNotification> {
    let one = |channel: &&str| NewNotification {
        channel: (*channel).to_owned(),
        event,
        sequence: 0,
        group: "g".to_owned(),
        wait: TimeDelta::zero(),
        group_interval: TimeDelta::zero(),
    };
    channels.iter().map(one).collect()
}

/// Raises the alert of a condition, or counts one more occurrence.
async fn raise(
    store: &Store,
    fingerprint: &str,
    channels: &[&str],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut turn = store.alert_turn().await?;
    let known = turn.take(fingerprint).await?.filter(|alert| alert.status != Status::Resolved);
    let alert = match known {
        Some(alert) => Alert { occurrences: alert.occurrences + 1, last_seen_at: now, ..alert },
        None => alert(fingerprint, now),
    };
    let event = (alert.occurrences == 1).then(|| AlertEvent::Raised.into());
    turn.save(&alert, event, &told(channels, AlertEvent::Raised), now).await?;
    turn.commit().await
}

/// Resolves it, and tells those who were told.
async fn resolve(store: &Store, fingerprint: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut turn = store.alert_turn().await?;
    let taken = turn.take(fingerprint).await?;
    let Some(mut alert) = taken.filter(|alert| alert.status != Status::Resolved) else {
        return Ok(());
    };
    (alert.status, alert.resolved_at) = (Status::Resolved, Some(now));
    let channels = turn.told_on(&alert).await?;
    let end = |(channel, group): (String, String)| NewNotification {
        group,
        ..told(&[&channel], AlertEvent::Resolved).remove(0)
    };
    let told: Vec<_> = channels.into_iter().map(end).collect();
    turn.save(&alert, Some(AlertEvent::Resolved.into()), &told, now).await?;
    turn.commit().await
}

/// On a connection that keeps its transaction and its settings.
async fn run(connection: &mut sqlx::PgConnection, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(connection).await.unwrap();
}
