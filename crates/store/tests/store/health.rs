use dogwatch_store::{HealthCheck, HealthRule, HealthState, Store};

use crate::{store, time};

const RULE: HealthRule =
    HealthRule { unhealthy_after: 3, healthy_after: 2, interval: chrono::TimeDelta::seconds(30) };

async fn check(store: &Store, ok: bool) -> (HealthState, bool) {
    let check = HealthCheck {
        service: "shop".to_owned(),
        kind: "http".to_owned(),
        target: "http://shop/".to_owned(),
        ok,
        is_degraded: false,
        response_time_ms: 1.0,
        error: (!ok).then(|| "answered 500".to_owned()),
    };
    let health = store.record_health_check(&check, RULE, time("10:00:00")).await.unwrap();
    (health.state, health.changed)
}

#[tokio::test]
async fn a_service_changes_its_state_after_enough_findings_in_a_row() {
    use HealthState::{Healthy, Unhealthy, Unknown};
    let (database, store) = store().await;
    let findings = [
        (false, Unknown, false),
        (true, Healthy, true),
        (false, Healthy, false),
        (false, Healthy, false),
        (true, Healthy, false),
        (false, Healthy, false),
        (false, Healthy, false),
        (false, Unhealthy, true),
        (false, Unhealthy, false),
        (true, Unhealthy, false),
        (false, Unhealthy, false),
        (true, Unhealthy, false),
        (true, Healthy, true),
    ];
    for (number, (ok, state, changed)) in findings.into_iter().enumerate() {
        assert_eq!(check(&store, ok).await, (state, changed), "finding {number}");
    }
    assert_eq!(database.number("SELECT count(*) FROM service_health_checks").await, 13);
}

#[tokio::test]
async fn checkers_at_once_count_one_after_the_other() {
    let (database, store) = store().await;
    let checking: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { check(&store, false).await })
        })
        .collect();
    let mut changes = 0;
    for checked in checking {
        changes += usize::from(checked.await.unwrap().1);
    }
    assert_eq!(changes, 1);
    assert_eq!(database.number("SELECT consecutive_failures::bigint FROM service_health").await, 10);
}

#[tokio::test]
async fn a_service_that_is_no_longer_configured_is_forgotten() {
    let (_database, store) = store().await;
    check(&store, true).await;
    assert_eq!(store.forget_services_not_in(&["other".to_owned()]).await.unwrap(), 1);
    assert!(store.service_health().await.unwrap().is_empty());
}
