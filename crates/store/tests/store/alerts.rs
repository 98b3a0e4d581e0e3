use std::time::Duration;

use dogwatch_store::{AlertFilter, AlertStatus, NotificationEvent};

use crate::{alert, channels, store, time};

#[tokio::test]
async fn twenty_checkers_at_once_make_one_alert_and_one_notification_per_channel() {
    let (database, store) = store().await;
    let raising: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                store.raise_alert(&alert("a"), &channels(&["log", "ops"]), time("10:00:00")).await
            })
        })
        .collect();
    let mut new = 0;
    for raised in raising {
        new += usize::from(raised.await.unwrap().unwrap().is_new);
    }
    let alerts = store.open_alerts().await.unwrap();
    assert_eq!((new, alerts.len(), alerts[0].occurrences), (1, 1, 20));
    assert_eq!(database.number("SELECT count(*) FROM notifications").await, 2);
}

#[tokio::test]
async fn a_condition_that_comes_back_is_a_new_alert() {
    let (database, store) = store().await;
    let ops = channels(&["ops"]);
    store.raise_alert(&alert("a"), &ops, time("10:00:00")).await.unwrap();
    assert_eq!(store.resolve_alerts(&["a".to_owned()], time("10:05:00")).await.unwrap().len(), 1);
    assert!(store.resolve_alerts(&["a".to_owned()], time("10:06:00")).await.unwrap().is_empty());
    assert!(store.raise_alert(&alert("a"), &ops, time("10:10:00")).await.unwrap().is_new);
    let resolved = store.alerts(AlertFilter { status: Some(AlertStatus::Resolved), limit: 9 }).await.unwrap();
    assert_eq!((resolved.len(), resolved[0].resolved_at), (1, Some(time("10:05:00"))));
    assert_eq!(database.number("SELECT count(*) FROM notifications").await, 3);
}

#[tokio::test]
async fn a_channel_that_was_told_of_an_alert_is_told_of_its_end_and_no_other_is() {
    let (_database, store) = store().await;
    store.raise_alert(&alert("a"), &channels(&["ops"]), time("10:00:00")).await.unwrap();
    // It has become worse: another channel wants to know, the first is not told again.
    store.raise_alert(&alert("a"), &channels(&["ops", "pager"]), time("10:01:00")).await.unwrap();
    store.resolve_alerts(&["a".to_owned()], time("10:02:00")).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        for notification in
            store.claim_notifications(9, Duration::from_secs(9), time("10:03:00")).await.unwrap()
        {
            store.notification_delivered(notification.id, time("10:03:00")).await.unwrap();
            told.push((notification.channel, notification.event));
        }
    }
    told.sort();
    let expected = ["ops", "pager"].map(str::to_owned);
    let expected = expected.into_iter().flat_map(|channel| {
        [NotificationEvent::Raised, NotificationEvent::Resolved].map(|event| (channel.clone(), event))
    });
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn an_open_alert_shows_what_was_seen_last() {
    let (_database, store) = store().await;
    store.raise_alert(&alert("a"), &[], time("10:00:00")).await.unwrap();
    let worse = dogwatch_store::NewAlert { value: Some(90.0), ..alert("a") };
    let raised = store.raise_alert(&worse, &[], time("10:01:00")).await.unwrap();
    assert!(!raised.is_new);
    assert_eq!((raised.alert.value, raised.alert.occurrences), (Some(90.0), 2));
    assert_eq!((raised.alert.first_seen_at, raised.alert.last_seen_at), (time("10:00:00"), time("10:01:00")));
}
