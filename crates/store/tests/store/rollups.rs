//! Rollups are what the raw rows say, whatever comes late, twice or at once.

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_store::{
    Batch, Intake, IntakeError, MetricFilter, RequestMetric, SeriesOwner, SpanKey, Store, Window,
};
use dogwatch_testing::TestDatabase;

use crate::metrics::{insert, metric};
use crate::{store, time};

/// A request that is always the same one.
fn numbered(number: u32) -> RequestMetric {
    let at = time("10:00:00") + TimeDelta::milliseconds(i64::from(number) * 977);
    RequestMetric {
        key: SpanKey::of_span(&[7; 16], &number.to_be_bytes()),
        endpoint: format!("/{}", number % 7),
        tenant: (number.is_multiple_of(3)).then(|| format!("tenant {}", number % 2)),
        db_query_time_ms: (number.is_multiple_of(2)).then_some(1.5),
        ..metric(at, "shop", if number.is_multiple_of(10) { 500 } else { 200 }, f64::from(number % 100) + 0.5)
    }
}

async fn rolled_up(store: &Store) {
    while store.roll_up().await.unwrap() > 0 {}
}

/// Differences between the rollups of each resolution and the raw rows.
async fn differences(database: &TestDatabase) -> i64 {
    let mut differences = 0;
    for (resolution, unit) in [(1, "minute"), (60, "hour"), (1440, "day")] {
        // Sums of floating-point numbers depend on their order, in the last digits.
        let rolled_up = format!(
            "SELECT bucket, series_id, count, errors, sum_ms::numeric(20, 6), sum_squares_ms::numeric(20, 6), min_ms,
                    max_ms, db_query_count, db_query_time_ms::numeric(20, 6), db_told_ms::numeric(20, 6)
             FROM rollups WHERE resolution = {resolution}"
        );
        let raw = format!(
            "SELECT date_trunc('{unit}', occurred_at, 'UTC'), series_id, count(*), count(*) FILTER (WHERE is_error),
                    sum(response_time_ms)::numeric(20, 6), sum(response_time_ms ^ 2)::numeric(20, 6),
                    min(response_time_ms), max(response_time_ms), sum(db_query_count),
                    sum(db_query_time_ms)::numeric(20, 6),
                    (sum(response_time_ms) FILTER (WHERE db_query_time_ms IS NOT NULL))::numeric(20, 6)
             FROM performance_metrics GROUP BY 1, 2"
        );
        let query = format!(
            "SELECT count(*) FROM (({rolled_up} EXCEPT {raw}) UNION ALL ({raw} EXCEPT {rolled_up})) AS different"
        );
        differences += database.number(&query).await;
    }
    differences
}

#[tokio::test]
async fn a_batch_that_comes_twice_is_stored_once_also_in_part() {
    let (database, store) = store().await;
    let rows: Vec<_> = (0..100).map(numbered).collect();
    assert_eq!(insert(&store, &rows[..60]).await, 60);
    assert_eq!(insert(&store, &rows[..60]).await, 0);
    assert_eq!(insert(&store, &rows[30..]).await, 40);
    // Twice in the same batch.
    let more = numbered(100);
    assert_eq!(insert(&store, &[more.clone(), more]).await, 1);
    assert_eq!(database.number("SELECT count(*) FROM performance_metrics").await, 101);
    rolled_up(&store).await;
    assert_eq!(differences(&database).await, 0);
}

#[tokio::test]
async fn rollups_are_those_of_the_rows_with_late_data_duplicates_and_workers_at_once() {
    let (database, store) = store().await;
    let writers: Vec<_> = (0..4_u32)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..10_u32 {
                    // Each writer sends the rows of the one before again, and the last ones are the earliest.
                    let from = (9 - round) * 400 + writer * 100;
                    let rows: Vec<_> = (from..from + 200).map(numbered).collect();
                    insert(&store, &rows).await;
                }
            })
        })
        .collect();
    let rollers: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..30 {
                    store.roll_up().await.unwrap();
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(rollers) {
        task.await.unwrap();
    }
    rolled_up(&store).await;
    assert_eq!(database.number("SELECT count(*) FROM performance_metrics").await, 4100);
    assert_eq!(differences(&database).await, 0);
    assert_eq!(database.number("SELECT count(*) FROM rollup_backlog").await, 0);
}

#[tokio::test]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranks are small")]
async fn percentiles_are_within_one_percent_of_the_exact_ones_over_any_window() {
    let (_database, store) = store().await;
    // Heavy-tailed, over three days.
    let begin: DateTime<Utc> = "2026-05-17T22:31:07Z".parse().unwrap();
    let rows: Vec<_> = (0..20_000_u32)
        .map(|number| {
            let part = f64::from(number * 7919 % 20_000) / 20_000.0;
            metric(
                begin + TimeDelta::seconds(i64::from(number) * 12),
                "shop",
                200,
                5.0 / (1.0 - part).powf(0.9),
            )
        })
        .collect();
    insert(&store, &rows).await;
    rolled_up(&store).await;
    for (from, to) in [(0, 20_000), (10, 19_990), (3_000, 3_005), (300, 17_000), (5, 5_000)] {
        let (since, until) = (rows[from].occurred_at, rows[to - 1].occurred_at);
        let mut exact: Vec<f64> = rows
            .iter()
            .filter(|row| row.occurred_at >= since && row.occurred_at < until)
            .map(|row| row.response_time_ms)
            .collect();
        exact.sort_by(f64::total_cmp);
        let window = Window { since, until: Some(until) };
        let summary = store.requests(window, &MetricFilter::default()).await.unwrap().all;
        assert_eq!(usize::try_from(summary.count).unwrap(), exact.len());
        for (part, told) in
            [(0.5, summary.p50_ms), (0.9, summary.p90_ms), (0.95, summary.p95_ms), (0.99, summary.p99_ms)]
        {
            let rank = part * (exact.len() - 1) as f64;
            let (below, above) = (exact[rank.floor() as usize], exact[rank.ceil() as usize]);
            let value = below + (above - below) * rank.fract();
            assert!((told.unwrap() / value - 1.0).abs() < 0.01, "p{part}: {told:?}, not {value}");
        }
    }
}

#[tokio::test]
async fn a_bucket_whose_rows_are_gone_stays_as_it_was() {
    let (database, store) = store().await;
    insert(&store, &[numbered(1), numbered(2)]).await;
    rolled_up(&store).await;
    for table in ["performance_metrics", "rollups_minute"] {
        store.expire(table, time("00:00:00") + TimeDelta::days(1), false).await.unwrap();
    }
    // Minutes go with the rows they are made of; hours and days stay.
    let count = "SELECT sum(count)::bigint FROM rollups WHERE resolution = 1440";
    assert_eq!(database.number(count).await, 2);
    insert(&store, &[numbered(3)]).await;
    rolled_up(&store).await;
    assert_eq!(database.number(count).await, 2);
    // Hours and days have times of their own.
    let hours = store.expire("rollups_hour", time("11:00:00"), false).await.unwrap();
    assert!(hours.rows > 0, "{hours:?}");
    insert(&store, &[numbered(4)]).await;
    rolled_up(&store).await;
    assert_eq!(database.number(count).await, 2);
    let days = store.expire("rollups_day", time("00:00:00") + TimeDelta::days(1), false).await.unwrap();
    assert!(days.rows > 0, "{days:?}");
    assert_eq!(database.number("SELECT count(*) FROM rollups").await, 0);
}

#[tokio::test]
async fn a_crawler_makes_no_more_than_a_thousand_series_of_a_service() {
    let (database, store) = store().await;
    let row = |number: usize| RequestMetric {
        endpoint: format!("/{number}"),
        ..numbered(number.try_into().unwrap())
    };
    insert(&store, &(0..1_500).map(row).collect::<Vec<_>>()).await;
    insert(&store, &[RequestMetric { key: SpanKey::random(), service: "blog".to_owned(), ..numbered(1) }])
        .await;
    rolled_up(&store).await;
    let others = "SELECT count(*) FROM metric_series WHERE endpoint = '(other)'";
    assert!((1..=3).contains(&database.number(others).await));
    assert!(database.number("SELECT count(*) FROM metric_series WHERE service = 'shop'").await <= 1003);
    let window = Window { since: time("09:00:00"), until: None };
    let shop = MetricFilter { service: Some("shop".to_owned()), ..MetricFilter::default() };
    assert_eq!(store.requests(window, &shop).await.unwrap().all.count, 1500);
    let other = MetricFilter { endpoint: Some("(other)".to_owned()), ..shop };
    assert_eq!(store.requests(window, &other).await.unwrap().all.count, 500);
    let blog = MetricFilter { service: Some("blog".to_owned()), ..MetricFilter::default() };
    assert_eq!(store.requests(window, &blog).await.unwrap().endpoints[0].endpoint, "/1");
}

#[tokio::test]
async fn a_history_is_the_window_step_by_step_at_whatever_step() {
    let (_database, store) = store().await;
    insert(&store, &(0..500).map(numbered).collect::<Vec<_>>()).await;
    rolled_up(&store).await;
    let until = time("12:00:00");
    for (hours, step_minutes) in [(3, 1), (12, 5), (36, 15), (200, 60), (1000, 360), (3000, 1440)] {
        let since = until - TimeDelta::hours(hours);
        let history = store.history(since, until, &MetricFilter::default()).await.unwrap();
        assert_eq!(history.step_ms, step_minutes * 60_000, "{hours} hours");
        assert!(history.since <= since && until <= history.until);
        assert_eq!(history.points.iter().map(|point| point.count).sum::<i64>(), 500);
        for (point, next) in history.points.iter().zip(&history.points[1..]) {
            assert_eq!((next.at - point.at).num_minutes(), step_minutes);
            let window = Window { since: point.at, until: Some(next.at) };
            let summary = store.requests(window, &MetricFilter::default()).await.unwrap().all;
            assert_eq!((point.count, point.errors), (summary.count, summary.errors));
            assert_eq!(
                (point.p50_ms, point.p99_ms, point.max_ms),
                (summary.p50_ms, summary.p99_ms, summary.max_ms)
            );
        }
    }
    let nobody = MetricFilter { method: Some("TRACE".to_owned()), ..MetricFilter::default() };
    let nothing = store.history(until - TimeDelta::hours(1), until, &nobody).await.unwrap();
    assert_eq!((nothing.points.len(), nothing.points[0].count, nothing.points[0].p95_ms), (60, 0, None));
}

#[tokio::test]
async fn rollups_that_are_wrong_or_missing_are_made_anew_from_the_rows() {
    let (database, store) = store().await;
    insert(&store, &(0..500).map(numbered).collect::<Vec<_>>()).await;
    rolled_up(&store).await;
    // Lost, wrong, of a minute without rows, and rows of a version before.
    database
        .execute(
            "DELETE FROM rollups WHERE bucket = '2026-05-20 10:01Z';
             UPDATE rollups SET count = 7 WHERE bucket = '2026-05-20 10:02Z';
             UPDATE rollups SET bucket = '2026-05-20 11:30Z' WHERE resolution = 1 AND bucket = '2026-05-20 10:03Z';
             UPDATE performance_metrics SET series_id = NULL WHERE occurred_at < '2026-05-20 10:00:30Z'",
        )
        .await;
    assert!(differences(&database).await > 0);
    assert_eq!(store.doubt_rollups(time("09:00:00"), time("12:00:00")).await.unwrap(), 10);
    rolled_up(&store).await;
    assert_eq!(differences(&database).await, 0);
}

async fn batch(store: &Store, rows: &[RequestMetric]) -> Batch {
    let mut batch = Batch::default();
    for row in rows {
        store.add_request(&mut batch, row).await.unwrap();
    }
    batch
}

#[tokio::test]
async fn batches_that_arrive_together_share_a_commit_and_are_rolled_up_by_themselves() {
    let (database, store) = store().await;
    let intake = Intake::start(store.clone());
    insert(&store, &[numbered(100_000)]).await;
    let commits = "SELECT count(DISTINCT xmin::text) FROM performance_metrics";
    let before = database.number(commits).await;
    let mut sending = Vec::new();
    for number in 0..200 {
        let (intake, batch) = (intake.clone(), batch(&store, &[numbered(number)]).await);
        sending.push(tokio::spawn(async move { intake.store(batch).await }));
    }
    for sent in sending {
        assert_eq!(sent.await.unwrap().unwrap(), 1);
    }
    let groups = database.number(commits).await - before;
    assert!(groups < 100, "{groups} commits");
    dogwatch_testing::eventually(std::time::Duration::from_mins(1), "the rollups are there", async || {
        database.number("SELECT coalesce(sum(count), 0)::bigint FROM rollups WHERE resolution = 1440").await
            == 201
    })
    .await;
}

#[tokio::test]
async fn a_row_that_cannot_be_stored_harms_no_other_batch() {
    let (database, store) = store().await;
    let intake = Intake::start(store.clone());
    let wrong = RequestMetric { error: Some("\0".to_owned()), ..numbered(0) };
    let mut sending = Vec::new();
    for number in 0..20 {
        let row = if number == 7 { wrong.clone() } else { numbered(number) };
        let (intake, batch) = (intake.clone(), batch(&store, &[row]).await);
        sending.push(tokio::spawn(async move { intake.store(batch).await }));
    }
    let mut refused = Vec::new();
    for (number, sent) in sending.into_iter().enumerate() {
        if let Err(error) = sent.await.unwrap() {
            assert!(matches!(error, IntakeError::Store(_)), "{error}");
            refused.push(number);
        }
    }
    assert_eq!(refused, [7]);
    assert_eq!(database.number("SELECT count(*) FROM performance_metrics").await, 19);
}

#[tokio::test]
async fn figures_of_any_size_are_rolled_up() {
    let (database, store) = store().await;
    let at = time("10:00:00");
    let odd = |response_time_ms: f64, db_query_time_ms: f64, count: i32| RequestMetric {
        db_query_time_ms: Some(db_query_time_ms),
        db_query_count: Some(count),
        cache_hits: Some(count),
        ..metric(at, "odd", 200, response_time_ms)
    };
    let rows = [
        odd(1e200, 1.7e308, i32::MAX),
        odd(1e-170, 1.7e308, i32::MIN),
        odd(f64::INFINITY, f64::NAN, -1),
        odd(-1.0, -1e300, 0),
    ];
    assert_eq!(insert(&store, &rows).await, 4);
    // As the version before has stored them, beside usual ones.
    insert(&store, &[metric(at, "usual", 500, 12.0)]).await;
    let before =
        "UPDATE performance_metrics SET response_time_ms = 1e300, db_query_time_ms = 1e308, cache_hits = -7
                  WHERE service = 'odd'";
    database.execute(before).await;
    store.doubt_rollups(at, at + TimeDelta::minutes(1)).await.unwrap();
    rolled_up(&store).await;
    assert_eq!(store.failed_rollups().await.unwrap().count, 0);
    let largest = "SELECT max(greatest(max_ms, sum_ms / 4)::bigint) FROM rollups";
    assert_eq!(database.number(largest).await, 100_000_000_000);
    assert_eq!(database.number("SELECT count(*) FROM rollups WHERE errors = 1").await, 3);
}

#[tokio::test]
async fn a_rollup_that_cannot_be_made_is_set_aside_and_holds_up_no_other() {
    let (database, store) = store().await;
    let (first, second) = (time("10:00:00"), time("10:01:00"));
    insert(&store, &[metric(first, "shop", 200, 1.0), metric(second, "shop", 200, 1.0)]).await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE numeric_value_out_of_range; END $$;
                  CREATE TRIGGER refuse BEFORE INSERT ON rollups FOR EACH ROW
                  WHEN (NEW.bucket = '2026-05-20 10:01:00Z' AND NEW.resolution = 1) EXECUTE FUNCTION refuse()";
    database.execute(refuse).await;
    rolled_up(&store).await;
    let failed = store.failed_rollups().await.unwrap();
    assert_eq!(failed.count, 1);
    assert!(failed.error.as_ref().unwrap().contains("numeric_value_out_of_range"), "{failed:?}");
    // The minute before, its hour and its day.
    assert_eq!(database.number("SELECT count(*) FROM rollups").await, 3);
    // It waits.
    assert_eq!(store.roll_up().await.unwrap(), 0);
    database.execute("DROP TRIGGER refuse ON rollups").await;
    store.doubt_rollups(first, first).await.unwrap();
    rolled_up(&store).await;
    assert_eq!(store.failed_rollups().await.unwrap().count, 0);
    assert_eq!(database.number("SELECT count(*) FROM rollups").await, 4);
}

/// Stores requests of these names, which `owner` sends.
async fn send(store: &Store, owner: &SeriesOwner, names: impl Iterator<Item = (String, String)>) {
    let mut batch = Batch::of(owner.clone());
    for (service, endpoint) in names {
        let request = RequestMetric { key: SpanKey::random(), service, endpoint, ..numbered(1) };
        store.add_request(&mut batch, &request).await.unwrap();
    }
    store.store(&[batch]).await.unwrap();
}

async fn has_series(database: &TestDatabase, service: &str, endpoint: &str) -> bool {
    let count = format!(
        "SELECT count(*) FROM metric_series WHERE service = '{service}' AND endpoint = '{endpoint}' AND tenant IS NULL"
    );
    database.number(&count).await > 0
}

#[tokio::test]
async fn names_of_one_sender_take_no_places_of_others() {
    let (database, store) = store().await;
    let (crawled, honest) = (SeriesOwner::of(None, Some("crawled")), SeriesOwner::of(None, Some("honest")));
    let services = (0..1_100).map(|number| (format!("s{number}"), "/".to_owned()));
    send(&store, &crawled, services).await;
    let endpoints = (0..1_100).map(|number| ("shop".to_owned(), format!("/{number}")));
    send(&store, &SeriesOwner::of(Some("acme"), None), endpoints).await;
    // That one has no place left, the others do.
    send(&store, &crawled, [("late".to_owned(), "/late".to_owned())].into_iter()).await;
    assert!(!has_series(&database, "late", "/late").await);
    send(&store, &honest, [("pay".to_owned(), "/pay".to_owned())].into_iter()).await;
    send(&store, &honest, [("shop".to_owned(), "/new".to_owned())].into_iter()).await;
    assert!(has_series(&database, "pay", "/pay").await && has_series(&database, "shop", "/new").await);
    assert!(has_series(&database, "(other)", "(other)").await);
    let reached = store.series_limits_reached(DateTime::UNIX_EPOCH).await.unwrap();
    let reached: Vec<_> =
        reached.iter().map(|limit| (limit.owner.as_str(), limit.service.as_str())).collect();
    assert_eq!(reached, [("tenant:acme", "shop"), ("key:crawled", "")]);
}

#[tokio::test]
async fn a_name_that_is_not_seen_any_more_frees_its_place() {
    let (database, store) = store().await;
    let owner = SeriesOwner::default();
    let of = |range: std::ops::Range<u32>| range.map(|number| ("shop".to_owned(), format!("/{number}")));
    send(&store, &owner, of(0..1_000)).await;
    send(&store, &owner, of(1_000..1_001)).await;
    assert!(!has_series(&database, "shop", "/1000").await);
    // All were made long ago, and one was seen today.
    database.execute("UPDATE metric_series SET created_at = now() - interval '30 days'").await;
    rolled_up(&store).await;
    let today = "UPDATE rollups SET bucket = date_trunc('day', now(), 'UTC')
                 WHERE resolution = 1440 AND series_id = (SELECT min(id) FROM metric_series)";
    database.execute(today).await;
    let now = database.number("SELECT extract(epoch FROM now())::bigint").await;
    let week_ago = DateTime::from_timestamp(now, 0).unwrap() - TimeDelta::days(7);
    store.count_series(week_ago).await.unwrap();
    assert_eq!(
        database
            .number("SELECT sum(count)::bigint FROM series_counts WHERE service = '' AND subject = 'request'")
            .await,
        1
    );
    send(&store, &owner, of(2_000..2_001)).await;
    assert!(has_series(&database, "shop", "/2000").await);
}

#[tokio::test]
async fn twenty_that_send_new_names_at_once_stay_within_the_limit() {
    let (database, store) = store().await;
    let sending = (0..20).map(|task: u32| {
        let store = store.clone();
        tokio::spawn(async move {
            let names = (0..100).map(|number| ("shop".to_owned(), format!("/{}", task * 60 + number)));
            send(&store, &SeriesOwner::default(), names).await;
        })
    });
    for sent in sending.collect::<Vec<_>>() {
        sent.await.unwrap();
    }
    let series = "SELECT count(*) FROM metric_series WHERE endpoint <> '(other)'";
    assert_eq!(database.number(series).await, 1000);
    let counted = "SELECT count FROM series_counts WHERE service = 'shop' AND subject = 'request'";
    assert_eq!(database.number(counted).await, database.number("SELECT count(*) FROM metric_series").await);
}
