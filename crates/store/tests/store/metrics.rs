use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_store::{
    Batch, DiskSample, HostSample, MetricFilter, RequestMetric, Requests, SpanKey, Store, Window,
};

use crate::{store, time};

pub(crate) fn metric(
    at: DateTime<Utc>,
    service: &str,
    status_code: i16,
    response_time_ms: f64,
) -> RequestMetric {
    RequestMetric {
        occurred_at: at,
        key: SpanKey::random(),
        tenant: None,
        service: service.to_owned(),
        endpoint: "/pay".to_owned(),
        method: "POST".to_owned(),
        status_code: Some(status_code),
        is_error: status_code >= 500,
        response_time_ms,
        user_id: None,
        client_address: None,
        trace_id: None,
        db_query_count: Some(3),
        db_query_time_ms: None,
        cache_hits: None,
        cache_misses: None,
        cpu_percent: None,
        memory_percent: None,
        error: None,
    }
}

/// Stores them; says how many were new.
pub(crate) async fn insert(store: &Store, rows: &[RequestMetric]) -> u64 {
    let mut batch = Batch::default();
    for row in rows {
        store.add_request(&mut batch, row).await.unwrap();
    }
    store.store(&[batch]).await.unwrap()
}

#[tokio::test]
async fn what_was_not_sent_is_null_and_what_was_sent_is_there() {
    let (database, store) = store().await;
    insert(&store, &[metric(time("10:00:00"), "shop", 200, 12.5)]).await;
    let query = "SELECT count(*) FROM performance_metrics WHERE tenant IS NULL AND cache_hits IS NULL AND db_query_count = 3";
    assert_eq!(database.number(query).await, 1);
}

#[tokio::test]
async fn rates_and_percentiles_are_those_of_the_window() {
    let (_database, store) = store().await;
    let at = time("10:00:00");
    let mut rows: Vec<_> =
        (1..=100).map(|n| metric(at, "shop", if n <= 10 { 500 } else { 200 }, f64::from(n))).collect();
    rows.push(metric(at - TimeDelta::minutes(10), "shop", 500, 9999.0));
    rows.push(metric(at, "other", 200, 5.0));
    assert_eq!(insert(&store, &rows).await, 102);
    assert!(store.roll_up().await.unwrap() > 0);
    let window = Window { since: at - TimeDelta::minutes(5), until: Some(at + TimeDelta::seconds(1)) };
    let all = MetricFilter::default();
    let Requests { all: summary, endpoints: timings } = store.requests(window, &all).await.unwrap();
    assert_eq!((timings.len(), timings[0].service.as_str()), (2, "shop"));
    assert_eq!((timings[0].count, timings[0].errors), (100, 10));
    assert!((timings[0].mean_ms - 50.5).abs() < 1e-9, "{timings:?}");
    assert!((timings[0].p95_ms - 95.05).abs() < 0.96, "{timings:?}");
    assert!((timings[0].stddev_ms - 29.0115).abs() < 1e-3, "{timings:?}");
    assert_eq!((summary.count, summary.errors, summary.max_ms), (101, 10, Some(100.0)));
    let others = MetricFilter { service: Some("other".to_owned()), ..MetricFilter::default() };
    assert_eq!(store.requests(window, &others).await.unwrap().all.count, 1);
    let later = Window { since: at + TimeDelta::minutes(1), until: None };
    let nothing = store.requests(later, &all).await.unwrap().all;
    assert_eq!((nothing.count, nothing.p95_ms), (0, None));
}

#[tokio::test]
async fn a_row_of_any_day_finds_its_partition_and_five_thousand_are_one_statement() {
    let (database, store) = store().await;
    let rows: Vec<_> =
        (0..5000).map(|n| metric(time("10:00:00") - TimeDelta::hours(n / 100), "shop", 200, 1.0)).collect();
    assert_eq!(insert(&store, &rows).await, 5000);
    assert_eq!(database.number("SELECT count(*) FROM performance_metrics").await, 5000);
}

#[tokio::test]
async fn a_host_sample_is_stored_once_with_its_disks() {
    let (database, store) = store().await;
    let disk = |mount: &str| DiskSample {
        mount: mount.to_owned(),
        file_system: "ext4".to_owned(),
        used_bytes: 90,
        total_bytes: 100,
    };
    let sample = HostSample {
        host: "web-1".to_owned(),
        sampled_at: time("10:00:00"),
        cpu_percent: 40.0,
        cpu_count: 1.5,
        load1: 1.0,
        load5: 1.0,
        load15: 1.0,
        memory_used_bytes: 50,
        memory_total_bytes: 200,
        swap_used_bytes: 0,
        swap_total_bytes: 0,
        network_received_bytes_per_second: None,
        network_sent_bytes_per_second: None,
        disks: vec![disk("/"), disk("/data")],
    };
    store.insert_host_sample(&sample).await.unwrap();
    store.insert_host_sample(&sample).await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM host_metrics").await, 1);
    let (since, until) = (time("09:00:00"), time("11:00:00"));
    let hosts = store.host_usage(since, until).await.unwrap();
    assert_eq!((hosts.len(), hosts[0].samples), (1, 1));
    assert!((hosts[0].memory_percent_mean - 25.0).abs() < 1e-9 && hosts[0].cpu_percent_stddev.abs() < 1e-9);
    let disks = store.disk_usage(since, until).await.unwrap();
    assert_eq!(disks.iter().map(|disk| disk.mount.as_str()).collect::<Vec<_>>(), ["/", "/data"]);
    assert!((disks[0].used_percent - 90.0).abs() < 1e-9);
}
