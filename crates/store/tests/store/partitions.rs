use chrono::Days;

use crate::{alert, channels, store, time};

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
    assert_eq!(made, 4);
}

#[tokio::test]
async fn retention_drops_old_days_keeps_the_others_and_finds_nothing_the_second_time() {
    let (database, store) = store().await;
    let today = time("00:00:00").date_naive();
    store.ensure_partitions(today - Days::new(9), today).await.unwrap();
    let dropped = store.drop_partitions_before(today - Days::new(2)).await.unwrap();
    assert_eq!(dropped.len(), 4 * 7);
    assert!(dropped.contains(&"performance_metrics_20260517".to_owned()), "{dropped:?}");
    assert!(store.drop_partitions_before(today - Days::new(2)).await.unwrap().is_empty());
    assert_eq!(
        database
            .number("SELECT count(*) FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r'")
            .await,
        4 * 3
    );
    // What was dropped can be made again, for data that comes late.
    assert_eq!(store.ensure_partitions(today - Days::new(5), today - Days::new(5)).await.unwrap(), 4);
}

#[tokio::test]
async fn a_table_of_someone_else_with_a_similar_name_stays() {
    let (database, store) = store().await;
    let today = time("00:00:00").date_naive();
    database.execute("CREATE TABLE performance_metrics_20200101 (x int); CREATE SCHEMA theirs; CREATE TABLE theirs.host_metrics (at date) PARTITION BY RANGE (at); CREATE TABLE theirs.host_metrics_20200101 PARTITION OF theirs.host_metrics FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')").await;
    assert!(store.drop_partitions_before(today).await.unwrap().is_empty());
    assert_eq!(database.number("SELECT count(*) FROM pg_class WHERE relname LIKE '%_20200101'").await, 2);
}

#[tokio::test]
async fn what_ended_long_ago_is_deleted_and_what_is_open_stays() {
    let (database, store) = store().await;
    let ops = channels(&["ops"]);
    for fingerprint in ["old", "open", "recent"] {
        store.raise_alert(&alert(fingerprint), &ops, time("01:00:00")).await.unwrap();
    }
    store.resolve_alerts(&["old".to_owned()], &ops, time("02:00:00")).await.unwrap();
    store.resolve_alerts(&["recent".to_owned()], &ops, time("11:00:00")).await.unwrap();
    assert_eq!(store.delete_expired(time("10:00:00")).await.unwrap().total(), 1);
    assert_eq!(store.delete_expired(time("10:00:00")).await.unwrap().total(), 0);
    assert_eq!(database.number("SELECT count(*) FROM performance_alerts").await, 2);
    assert_eq!(database.number("SELECT count(*) FROM notifications").await, 3);
}
