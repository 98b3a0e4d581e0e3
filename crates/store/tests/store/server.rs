use std::error::Error;
use std::time::Duration;

use dogwatch_store::{AlertFilter, Settings, Store};
use dogwatch_testing::TestDatabase;

use crate::{raise, resolve, store, time};

fn quick() -> Settings {
    Settings { acquire_timeout: Duration::from_millis(300), ..Settings::for_tests() }
}

#[tokio::test]
async fn a_server_that_is_away_is_told_from_a_fault_and_the_password_is_told_to_nobody() {
    let store = Store::connect("postgres://dogwatch:hush@127.0.0.1:1/dogwatch", &quick()).unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let source = error.source().unwrap().to_string();
    assert!(!error.to_string().contains(&source), "{error}: {source}");
    assert!(!format!("{error:?} {source} {store:?}").contains("hush"));
    let database = TestDatabase::empty().await;
    let empty = Store::connect(&database.url(), &Settings::for_tests()).unwrap();
    assert!(!empty.open_conditions().await.unwrap_err().is_unavailable());
    let said =
        dogwatch_store::probe("postgres://dogwatch:hush@127.0.0.1:1/x", None, Duration::from_secs(5)).await;
    assert!(!said.unwrap_err().contains("hush"));
    assert!(
        Store::connect("postgres://dogwatch:hush@[/x", &quick())
            .is_err_and(|it| !it.to_string().contains("hush"))
    );
}

#[tokio::test]
async fn connections_that_the_server_ends_are_unavailability_and_the_next_query_succeeds() {
    let (database, store) = store().await;
    store.ping().await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dogwatch' AND datname = current_database()";
    database.execute(end).await;
    if let Err(error) = store.ping().await {
        assert!(error.is_unavailable(), "{error:?}");
    }
    store.ping().await.unwrap();
}

#[tokio::test]
async fn migrations_are_applied_once_and_take_the_time_that_they_need() {
    let database = TestDatabase::empty().await;
    let hasty = Settings { statement_timeout: Duration::from_millis(200), ..Settings::for_tests() };
    let store = Store::connect(&database.url(), &hasty).unwrap();
    let all = store.pending_migrations().await.unwrap();
    assert!(all[0].starts_with("0001 "), "{all:?}");
    // Another process that migrates makes this one wait, longer than a statement may take.
    let mut other = database.connection().await;
    let url = database.url();
    let (_, name) = url.split('?').next().unwrap().rsplit_once('/').unwrap();
    let lock = 0x3d32_ad9e_i64 * i64::from(crc32(name.as_bytes()));
    crate::run(&mut other, &format!("SELECT pg_advisory_lock({lock})")).await;
    let migrating = tokio::spawn({
        let store = store.clone();
        async move { store.migrate().await }
    });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while database.number(waiting).await == 0 && !migrating.is_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    crate::run(&mut other, &format!("SELECT pg_advisory_unlock({lock})")).await;
    assert_eq!(migrating.await.unwrap().unwrap(), all.len());
    assert_eq!(store.migrate().await.unwrap(), 0);
    assert!(store.pending_migrations().await.unwrap().is_empty());
}

/// As sqlx names its lock on a database.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// Postgres refuses a prepared `SELECT *` whose columns have changed.
#[tokio::test]
async fn workers_go_on_while_the_next_version_adds_columns() {
    let database = TestDatabase::new().await;
    // One connection, so that each statement meets the plan that it has left.
    let store =
        Store::connect(&database.url(), &Settings { max_connections: 1, ..Settings::for_tests() }).unwrap();
    let use_all = async || {
        raise(&store, "a", &["ops"], time("10:00:00")).await?;
        store.open_conditions().await?;
        store.alerts(&AlertFilter { limit: 9, ..AlertFilter::default() }).await?;
        store.claim_deliveries(9, Duration::from_secs(1), time("10:00:00")).await?;
        resolve(&store, "a", time("10:00:00")).await?;
        store.report(uuid::Uuid::nil()).await?;
        store.reports(None, 9).await?;
        store.trend_findings(time("10:00:00")).await?;
        let check = dogwatch_store::HealthCheck {
            service: "shop".to_owned(),
            kind: "http".to_owned(),
            target: "http://shop/".to_owned(),
            ok: true,
            is_degraded: false,
            response_time_ms: 1.0,
            error: None,
        };
        let rule = dogwatch_store::HealthRule {
            unhealthy_after: 3,
            healthy_after: 2,
            interval: chrono::TimeDelta::seconds(30),
        };
        store.record_health_check(&check, rule, time("10:00:00")).await?;
        store.service_health().await.map(drop)
    };
    use_all().await.unwrap();
    for table in
        ["performance_alerts", "notifications", "performance_reports", "trend_findings", "service_health"]
    {
        database.execute(&format!("ALTER TABLE {table} ADD COLUMN later text")).await;
    }
    use_all().await.unwrap();
}

#[tokio::test]
async fn the_skew_is_how_far_the_server_is_ahead() {
    let (_database, store) = store().await;
    assert!(store.clock_skew(time("10:00:00")).await.unwrap() > chrono::TimeDelta::zero());
}
