use chrono::{Days, NaiveDate, NaiveTime};
use dogwatch_store::{Expired, KEPT_TABLES, Store, StoreError};

use crate::metrics::insert;
use crate::{raise, resolve, run, store, time};

const PARTITIONS: &str = "SELECT count(*) FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r' AND relname ~ '_[0-9]{8}$'";
/// Tables that are partitioned by day.
const TABLES: u32 = 11;

/// Drops all days before this one; says their names.
async fn drop_before(store: &Store, day: NaiveDate) -> Result<Vec<String>, StoreError> {
    let (mut dropped, mut failure) = (Vec::new(), None);
    for table in KEPT_TABLES {
        match store.expire(table, day.and_time(NaiveTime::MIN).and_utc(), false).await {
            Ok(expired) => dropped.extend(expired.partitions),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(dropped), Err)
}

#[tokio::test]
async fn ten_callers_at_once_make_a_partition_once() {
    let (_database, store) = store().await;
    let day = time("00:00:00").date_naive();
    let making: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.ensure_partitions(day, day).await.unwrap() })
        })
        .collect();
    let mut made = 0;
    for count in making {
        made += count.await.unwrap();
    }
    // One for each table with raw data.
    assert_eq!(made, TABLES);
}

#[tokio::test]
async fn retention_drops_old_days_keeps_the_others_and_finds_nothing_the_second_time() {
    let (database, store) = store().await;
    let today = time("00:00:00").date_naive();
    store.ensure_partitions(today - Days::new(9), today).await.unwrap();
    // A dry run tells what would go.
    let horizon = time("00:00:00") - Days::new(2);
    let would = store.expire("performance_metrics", horizon, true).await.unwrap();
    assert_eq!(would.partitions.len(), 7);
    assert!(would.bytes > 0, "{would:?}");
    let dropped = drop_before(&store, today - Days::new(2)).await.unwrap();
    assert_eq!(dropped.len(), TABLES as usize * 7);
    assert!(dropped.contains(&"performance_metrics_20260517".to_owned()), "{dropped:?}");
    assert!(drop_before(&store, today - Days::new(2)).await.unwrap().is_empty());
    assert_eq!(database.number(PARTITIONS).await, i64::from(TABLES) * 3);
    // What was dropped can be made again, for data that comes late.
    assert_eq!(store.ensure_partitions(today - Days::new(5), today - Days::new(5)).await.unwrap(), TABLES);
}

#[tokio::test]
async fn a_table_of_someone_else_with_a_similar_name_stays() {
    let (database, store) = store().await;
    let today = time("00:00:00").date_naive();
    database.execute("CREATE TABLE performance_metrics_20200101 (x int); CREATE SCHEMA theirs; CREATE TABLE theirs.host_metrics (at date) PARTITION BY RANGE (at); CREATE TABLE theirs.host_metrics_20200101 PARTITION OF theirs.host_metrics FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')").await;
    assert!(drop_before(&store, today).await.unwrap().is_empty());
    assert_eq!(database.number("SELECT count(*) FROM pg_class WHERE relname LIKE '%_20200101'").await, 2);
}

#[tokio::test]
async fn what_ended_long_ago_is_deleted_and_what_is_open_stays() {
    let (database, store) = store().await;
    for fingerprint in ["old", "open", "recent"] {
        raise(&store, fingerprint, &["ops"], time("01:00:00")).await.unwrap();
    }
    resolve(&store, "old", time("02:00:00")).await.unwrap();
    resolve(&store, "recent", time("11:00:00")).await.unwrap();
    for (dry_run, rows) in [(true, 1), (false, 1), (false, 0)] {
        let expired = store.expire("performance_alerts", time("10:00:00"), dry_run).await.unwrap();
        assert_eq!(expired, Expired { rows, ..Expired::default() });
    }
    assert_eq!(database.number("SELECT count(*) FROM performance_alerts").await, 2);
    assert_eq!(database.number("SELECT count(*) FROM notifications").await, 3);
}

#[tokio::test]
async fn two_cleanups_at_once_do_not_disturb_each_other() {
    let (database, store) = store().await;
    let today = time("00:00:00").date_naive();
    store.ensure_partitions(today - Days::new(6), today).await.unwrap();
    let cleaning: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { drop_before(&store, today).await })
        })
        .collect();
    let mut dropped = Vec::new();
    for names in cleaning {
        dropped.extend(names.await.unwrap().unwrap());
    }
    assert_eq!(dropped.len(), TABLES as usize * 6, "{dropped:?}");
    assert_eq!(database.number(PARTITIONS).await, i64::from(TABLES));
}

/// `DETACH CONCURRENTLY` commits half of its work before it waits for old transactions.
#[tokio::test]
async fn a_detach_that_was_interrupted_is_finished_even_for_a_day_that_is_to_stay() {
    let (database, store) = store().await;
    let today = time("00:00:00").date_naive();
    store.ensure_partitions(today - Days::new(3), today).await.unwrap();
    let mut reader = database.connection().await;
    run(&mut reader, "BEGIN; SELECT count(*) FROM performance_metrics").await;
    let mut interrupted = database.connection().await;
    run(&mut interrupted, "SET lock_timeout = '100ms'").await;
    let detach = "ALTER TABLE performance_metrics DETACH PARTITION performance_metrics_20260519 CONCURRENTLY";
    assert!(sqlx::query(detach).execute(&mut interrupted).await.is_err());
    assert_eq!(database.number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending").await, 1);
    run(&mut reader, "COMMIT").await;
    let dropped = drop_before(&store, today - Days::new(2)).await.unwrap();
    assert!(dropped.contains(&"performance_metrics_20260517".to_owned()), "{dropped:?}");
    assert_eq!(database.number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending").await, 0);
    let stays = "SELECT count(*) FROM pg_inherits WHERE inhrelid = 'performance_metrics_20260519'::regclass";
    assert_eq!(database.number(stays).await, 1);
}

#[tokio::test]
async fn one_day_that_cannot_go_keeps_no_other_and_goes_the_next_time() {
    let (database, store) = store().await;
    let today = time("00:00:00").date_naive();
    store.ensure_partitions(today - Days::new(3), today).await.unwrap();
    // Lets it be detached, but not dropped.
    database.execute("CREATE VIEW keeper AS SELECT * FROM host_disks_20260517").await;
    assert!(drop_before(&store, today).await.is_err());
    assert_eq!(database.number(PARTITIONS).await, i64::from(TABLES));
    let left = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%_202605__'";
    assert_eq!(database.number(left).await, i64::from(TABLES) + 1);
    database.execute("DROP VIEW keeper").await;
    assert_eq!(drop_before(&store, today).await.unwrap(), ["host_disks_20260517"]);
    assert_eq!(database.number(left).await, i64::from(TABLES));
}

#[tokio::test]
async fn a_row_is_stored_although_its_day_was_detached_and_not_dropped() {
    let (database, store) = store().await;
    let late = crate::metrics::metric(time("10:00:00"), "shop", 200, 1.0);
    insert(&store, std::slice::from_ref(&late)).await;
    let late = crate::metrics::metric(time("10:00:00"), "shop", 200, 1.0);
    database.execute("ALTER TABLE performance_metrics DETACH PARTITION performance_metrics_20260520").await;
    assert_eq!(insert(&store, &[late]).await, 1);
    assert_eq!(database.number("SELECT count(*) FROM performance_metrics").await, 2);
}

#[tokio::test]
async fn a_late_row_is_stored_although_another_process_has_dropped_its_day() {
    let (database, store) = store().await;
    let late = crate::metrics::metric(time("10:00:00"), "shop", 200, 1.0);
    insert(&store, std::slice::from_ref(&late)).await;
    let other =
        dogwatch_store::Store::connect(&database.url(), &dogwatch_store::Settings::for_tests()).unwrap();
    drop_before(&other, time("00:00:00").date_naive() + Days::new(1)).await.unwrap();
    assert_eq!(insert(&store, &[late]).await, 1);
    assert_eq!(database.number("SELECT count(*) FROM performance_metrics").await, 1);
}

#[tokio::test]
async fn a_day_that_someone_has_detached_to_keep_it_stays() {
    let (database, store) = store().await;
    let today = time("00:00:00").date_naive();
    store.ensure_partitions(today - Days::new(2), today).await.unwrap();
    database.execute("ALTER TABLE host_metrics DETACH PARTITION host_metrics_20260518").await;
    // This one was on its way out, and came back for a row that was late.
    database.execute("COMMENT ON TABLE host_disks_20260518 IS 'to be dropped'; ALTER TABLE host_disks DETACH PARTITION host_disks_20260518").await;
    database.execute("SELECT create_day_partition('host_disks', '2026-05-18'); ALTER TABLE host_disks DETACH PARTITION host_disks_20260518").await;
    drop_before(&store, today).await.unwrap();
    let kept =
        "SELECT count(*) FROM pg_class WHERE relname IN ('host_metrics_20260518', 'host_disks_20260518')";
    assert_eq!(database.number(kept).await, 2);
}

#[tokio::test]
async fn a_mark_that_lies_ahead_stops_no_rollup_and_heals() {
    let (database, store) = crate::store().await;
    let at = crate::time("10:00:00");
    database
        .execute(
            "INSERT INTO kept_since VALUES ('performance_metrics', now() + interval '1 year'),
                                                    ('rollups_minute', now() + interval '1 year')",
        )
        .await;
    crate::metrics::insert(&store, &[crate::metrics::metric(at, "shop", 200, 1.0)]).await;
    store.roll_up().await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM rollups").await, 3);
    store.expire("performance_metrics", at - chrono::TimeDelta::days(5), false).await.unwrap();
    let ahead = "SELECT count(*) FROM kept_since WHERE table_name = 'performance_metrics' AND since > now()";
    assert_eq!(database.number(ahead).await, 0);
}

#[tokio::test]
async fn a_day_that_another_process_has_dropped_is_made_again() {
    let (database, store) = crate::store().await;
    let at = crate::time("10:00:00");
    crate::metrics::insert(&store, &[crate::metrics::metric(at, "shop", 200, 1.0)]).await;
    store.roll_up().await.unwrap();
    database.execute("DROP TABLE rollups_minute_20260520; DROP TABLE performance_metrics_20260520").await;
    crate::metrics::insert(&store, &[crate::metrics::metric(at, "pay", 200, 1.0)]).await;
    let made = async || {
        store.roll_up().await.is_ok_and(|_| true) && {
            database.number("SELECT count(*) FROM rollups WHERE resolution = 1").await == 1
        }
    };
    let retry = "UPDATE rollup_failures SET retry_at = now()";
    dogwatch_testing::eventually(std::time::Duration::from_secs(30), "its rollup is made", async || {
        database.execute(retry).await;
        made().await
    })
    .await;
}
