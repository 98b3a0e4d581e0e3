use dogwatch_alerting::Status;
use dogwatch_store::{AlertEvent, AlertFilter};

use crate::{raise, resolve, store, time};

#[tokio::test]
async fn twenty_checkers_at_once_make_one_alert_and_one_notification_per_channel() {
    let (database, store) = store().await;
    let raising: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { raise(&store, "a", &["log", "ops"], time("10:00:00")).await })
        })
        .collect();
    for raised in raising {
        raised.await.unwrap().unwrap();
    }
    let alerts = store.open_alerts().next_page().await.unwrap();
    assert_eq!((alerts.len(), alerts[0].occurrences), (1, 20));
    assert_eq!(database.number("SELECT count(*) FROM notifications").await, 2);
    assert_eq!(database.number("SELECT count(*) FROM alert_events").await, 1);
}

#[tokio::test]
async fn a_turn_finds_the_open_alert_or_else_the_one_that_was_resolved_last() {
    let (_database, store) = store().await;
    let last = async || store.alert_turn().await.unwrap().take("a").await.unwrap();
    assert!(last().await.is_none());
    raise(&store, "a", &[], time("10:00:00")).await.unwrap();
    resolve(&store, "a", time("10:05:00")).await.unwrap();
    raise(&store, "a", &[], time("10:10:00")).await.unwrap();
    resolve(&store, "a", time("10:15:00")).await.unwrap();
    assert_eq!(last().await.unwrap().resolved_at, Some(time("10:15:00")));
    raise(&store, "a", &[], time("10:20:00")).await.unwrap();
    assert_eq!(last().await.unwrap().status, Status::Active);
    let resolved = AlertFilter { statuses: vec![Status::Resolved], limit: 9, ..AlertFilter::default() };
    assert_eq!(store.alerts(&resolved).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_not_saved_has_not_happened_and_what_happened_is_kept_in_order() {
    let (_database, store) = store().await;
    raise(&store, "a", &[], time("10:00:00")).await.unwrap();
    let mut turn = store.alert_turn().await.unwrap();
    let alert = turn.take("a").await.unwrap().unwrap();
    turn.save(&alert, Some(AlertEvent::Acknowledged.into()), &[], time("10:01:00")).await.unwrap();
    drop(turn);
    resolve(&store, "a", time("10:05:00")).await.unwrap();
    let alert = store.alert_of("a").await.unwrap().unwrap();
    let events = store.alert_events(alert.id).await.unwrap();
    let events: Vec<_> = events.iter().map(|event| (event.event, event.occurred_at)).collect();
    assert_eq!(events, [(AlertEvent::Raised, time("10:00:00")), (AlertEvent::Resolved, time("10:05:00"))]);
}

#[tokio::test]
async fn open_alerts_are_read_to_the_end() {
    let (database, store) = store().await;
    raise(&store, "a", &[], time("10:00:00")).await.unwrap();
    let columns = "fingerprint, alert_type, severity, title, description, labels, status, occurrences,
                   first_seen_at, last_seen_at, raised_at, reopened, is_flapping, changes";
    let copy = format!(
        "INSERT INTO performance_alerts (id, {columns})
         SELECT gen_random_uuid(), n::text, {} FROM performance_alerts, generate_series(1, 1204) AS n",
        columns.split_once(',').unwrap().1
    );
    database.execute(&copy).await;
    let mut open = store.open_alerts();
    let mut seen = std::collections::HashSet::new();
    loop {
        let page = open.next_page().await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|alert| alert.fingerprint));
    }
    assert_eq!(seen.len(), 1205);
    assert_eq!(store.open_conditions().await.unwrap(), seen);
}

#[tokio::test]
async fn a_list_is_paged_by_when_alerts_were_seen() {
    let (_database, store) = store().await;
    for n in 0..5 {
        raise(&store, &n.to_string(), &[], time(&format!("10:00:0{}", n / 2))).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut behind = None;
    loop {
        let page = store.alerts(&AlertFilter { behind, limit: 2, ..AlertFilter::default() }).await.unwrap();
        let Some(last) = page.last() else { break };
        behind = Some((last.last_seen_at, last.id));
        seen.extend(page.into_iter().map(|alert| alert.fingerprint));
    }
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
}
