use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{Dimension, Metric, Scope};
use dogwatch_store::{
    Cause, FindingKind, FindingState, TrendDirection, TrendFinding, TrendSeries, TrendStep,
};
use uuid::Uuid;

use crate::{store, time};

fn series(endpoint: &str) -> TrendSeries {
    let scope = [(Dimension::Service, "shop"), (Dimension::Endpoint, endpoint)];
    let scope = Scope::of(scope.map(|(dimension, value)| (dimension, value.to_owned())));
    TrendSeries { metric: Metric::ResponseTimeMs, scope }
}

fn finding(series_id: i32, state: FindingState, effect_s_per_hour: f64) -> TrendFinding {
    let id = Uuid::now_v7();
    TrendFinding {
        id,
        series_id,
        kind: FindingKind::Shift,
        state,
        metric: Metric::ResponseTimeMs,
        scope: series("GET /").scope,
        direction: TrendDirection::Worse,
        since: time("09:00:00"),
        earliest: time("08:55:00"),
        latest: time("09:05:00"),
        before: 180.0,
        after: 420.0,
        change_percent: Some(133.3),
        confidence: 0.9999,
        effect_s_per_hour,
        limit: None,
        cause: Cause { shared: Some("service shop".to_owned()), ..Cause::default() },
        group_id: id,
        found_at: time("10:00:00"),
        updated_at: time("10:00:00"),
        ended_at: (state != FindingState::Open).then(|| time("11:00:00")),
    }
}

fn step(series_id: i32, figure: f32) -> TrendStep {
    TrendStep { series_id, figure, count: 100.0 }
}

#[tokio::test]
async fn a_series_is_followed_once_and_its_past_is_read_as_it_was_written() {
    let (_database, store) = store().await;
    let ids = store.follow_trends(&[series("GET /b"), series("GET /a")], time("10:00:00")).await.unwrap();
    assert_eq!(store.follow_trends(&[series("GET /a")], time("11:00:00")).await.unwrap(), ids[1..]);
    let mut known = store.trend_series().await.unwrap();
    known.sort_by_key(|(_, id)| *id);
    assert_eq!(known, [(series("GET /b"), ids[0]), (series("GET /a"), ids[1])]);

    assert_eq!(store.trends_analysed_through().await.unwrap(), None);
    store.store_trend_step(time("09:55:00"), &[step(ids[0], 10.0)]).await.unwrap();
    for _ in 0..2 {
        store.store_trend_step(time("10:05:00"), &[step(ids[0], 20.0), step(ids[1], 5.0)]).await.unwrap();
    }
    assert_eq!(store.trends_analysed_through().await.unwrap(), Some(time("10:10:00")));
    let hours = store.trend_hours(&ids[..1], time("09:59:59")).await.unwrap();
    let told: Vec<(DateTime<Utc>, Vec<usize>)> = hours
        .iter()
        .map(|hour| (hour.hour, (0..12).filter(|slot| hour.steps[*slot].is_some()).collect()))
        .collect();
    assert_eq!(told, [(time("09:00:00"), vec![11]), (time("10:00:00"), vec![1])]);
    assert_eq!(hours[1].steps[1], Some((20.0, 100.0)));
}

#[tokio::test]
async fn detectors_are_read_as_they_were_stored() {
    let (_database, store) = store().await;
    let ids = store.follow_trends(&[series("GET /a"), series("GET /b")], time("10:00:00")).await.unwrap();
    store.store_trend_detectors(time("10:00:00"), &[(ids[1], vec![0, 1, 255])]).await.unwrap();
    let mut stored = store.trend_detectors(&ids).await.unwrap();
    stored.sort_by_key(|detector| detector.series_id);
    assert_eq!((stored[0].detector.as_ref(), stored[0].detector_at), (None, None));
    assert_eq!(
        (&stored[1].detector, stored[1].detector_at),
        (&Some(vec![0, 1, 255]), Some(time("10:00:00")))
    );
}

#[tokio::test]
async fn one_analyses_at_a_time() {
    let (_database, store) = store().await;
    let turn = store.trend_turn().await.unwrap().unwrap();
    assert!(store.trend_turn().await.unwrap().is_none());
    turn.end().await.unwrap();
    assert!(store.trend_turn().await.unwrap().is_some());
}

#[tokio::test]
async fn of_a_series_one_finding_is_open_and_the_open_ones_come_first() {
    let (_database, store) = store().await;
    let ids = store.follow_trends(&[series("GET /a"), series("GET /b")], time("10:00:00")).await.unwrap();
    let (first, second) =
        (finding(ids[0], FindingState::Open, 1.0), finding(ids[1], FindingState::Open, 5.0));
    store.store_trend_findings(&[first.clone(), second.clone()]).await.unwrap();
    assert!(store.store_trend_findings(&[finding(ids[0], FindingState::Open, 9.0)]).await.is_err());
    let found = async |since: DateTime<Utc>| store.trend_findings(since).await.unwrap();
    let always = DateTime::UNIX_EPOCH;
    assert_eq!(found(always).await, [second.clone(), first.clone()]);

    // Another takes its place: both in one go, in whichever order.
    let next = TrendFinding { group_id: second.id, ..finding(ids[0], FindingState::Open, 2.0) };
    let ended = Some(time("12:00:00"));
    let first = TrendFinding { state: FindingState::Superseded, ended_at: ended, ..first };
    store.store_trend_findings(&[next.clone(), first.clone()]).await.unwrap();
    assert_eq!(found(always).await, [second.clone(), next.clone(), first]);
    assert_eq!(found(time("12:00:00") + TimeDelta::seconds(1)).await, [second, next]);
}

#[tokio::test]
async fn a_version_is_new_when_there_was_another_before() {
    let (database, store) = store().await;
    let seen = async || {
        let seen = store.version_seen_between("shop", time("09:00:00"), time("11:00:00")).await.unwrap();
        seen.map(|seen| (seen.version, seen.first_seen_at))
    };
    store.note_version("unknown", "1", time("09:30:00")).await.unwrap();
    database
        .execute(
            "INSERT INTO metric_series (subject, service, method, endpoint)
             VALUES ('request', 'shop', 'GET', '/'), ('request', 'mail', 'GET', '/')",
        )
        .await;
    store.note_version("shop", "1.4.1", time("09:30:00")).await.unwrap();
    store.note_version("mail", "7", time("08:00:00")).await.unwrap();
    assert_eq!(seen().await, None);
    store.note_version("shop", "1.4.2", time("10:00:00")).await.unwrap();
    store.note_version("shop", "1.4.2", time("10:30:00")).await.unwrap();
    assert_eq!(seen().await, Some(("1.4.2".to_owned(), time("10:00:00"))));
}
