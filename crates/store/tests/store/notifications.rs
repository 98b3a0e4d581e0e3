use std::collections::BTreeSet;
use std::time::Duration;

use dogwatch_store::NotificationEvent;

use crate::{alert, channels, store, time};

const LEASE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn two_senders_never_have_the_same_notification() {
    let (_database, store) = store().await;
    for n in 0..50 {
        store.raise_alert(&alert(&n.to_string()), &channels(&["ops"]), time("10:00:00")).await.unwrap();
    }
    let claiming: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.claim_notifications(8, LEASE, time("10:00:01")).await.unwrap() })
        })
        .collect();
    let mut ids = Vec::new();
    for claimed in claiming {
        ids.extend(claimed.await.unwrap().into_iter().map(|notification| notification.id));
    }
    assert!(ids.len() >= 40, "{}", ids.len());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[tokio::test]
async fn a_claim_lapses_and_counts_as_an_attempt() {
    let (_database, store) = store().await;
    store.raise_alert(&alert("a"), &channels(&["ops"]), time("10:00:00")).await.unwrap();
    assert_eq!(store.claim_notifications(9, LEASE, time("10:00:00")).await.unwrap()[0].attempts, 1);
    assert!(store.claim_notifications(9, LEASE, time("10:00:59")).await.unwrap().is_empty());
    assert_eq!(store.claim_notifications(9, LEASE, time("10:01:00")).await.unwrap()[0].attempts, 2);
}

#[tokio::test]
async fn the_end_is_told_after_the_beginning_and_on_each_channel_by_itself() {
    let (_database, store) = store().await;
    let both = channels(&["log", "ops"]);
    store.raise_alert(&alert("a"), &both, time("10:00:00")).await.unwrap();
    store.resolve_alerts(&["a".to_owned()], time("10:00:01")).await.unwrap();
    let first = store.claim_notifications(9, LEASE, time("10:00:02")).await.unwrap();
    assert!(first.len() == 2 && first.iter().all(|it| it.event == NotificationEvent::Raised));
    let log = first.iter().find(|it| it.channel == "log").unwrap();
    let ops = first.iter().find(|it| it.channel == "ops").unwrap();
    assert!(store.notification_delivered(log.id, time("10:00:03")).await.unwrap());
    assert!(!store.notification_delivered(log.id, time("10:00:03")).await.unwrap());
    assert!(store.notification_failed(ops.id, "down", time("10:05:00")).await.unwrap());
    let second = store.claim_notifications(9, LEASE, time("10:00:04")).await.unwrap();
    assert_eq!(
        (second.len(), second[0].channel.as_str(), second[0].event),
        (1, "log", NotificationEvent::Resolved)
    );
    let later = store.claim_notifications(9, LEASE, time("10:05:00")).await.unwrap();
    let ops_again = later.iter().find(|it| it.channel == "ops").unwrap();
    assert_eq!((ops_again.event, ops_again.attempts), (NotificationEvent::Raised, 2));
    assert_eq!(store.undelivered_notifications().await.unwrap(), 3);
}

#[tokio::test]
async fn one_that_was_given_up_holds_nothing_back() {
    let (_database, store) = store().await;
    let ops = channels(&["ops"]);
    store.raise_alert(&alert("a"), &ops, time("10:00:00")).await.unwrap();
    store.resolve_alerts(&["a".to_owned()], time("10:00:01")).await.unwrap();
    let raised = store.claim_notifications(9, LEASE, time("10:00:02")).await.unwrap();
    assert!(store.notification_abandoned(raised[0].id, "gone", time("10:00:03")).await.unwrap());
    let next = store.claim_notifications(9, LEASE, time("10:02:00")).await.unwrap();
    assert_eq!((next.len(), next[0].event), (1, NotificationEvent::Resolved));
}

/// Ids hold the time of the machine that made them, and machines disagree.
#[tokio::test]
async fn the_end_waits_for_the_beginning_also_when_its_id_is_smaller() {
    let (database, store) = store().await;
    let ops = channels(&["ops"]);
    store.raise_alert(&alert("a"), &ops, time("10:00:00")).await.unwrap();
    store.resolve_alerts(&["a".to_owned()], time("10:00:01")).await.unwrap();
    database
        .execute(
            "UPDATE notifications SET id = '00000000-0000-7000-8000-000000000000' WHERE event = 'resolved'",
        )
        .await;
    let first = store.claim_notifications(9, LEASE, time("10:00:02")).await.unwrap();
    assert_eq!(first.iter().map(|it| it.event).collect::<Vec<_>>(), [NotificationEvent::Raised]);
    store.notification_delivered(first[0].id, time("10:00:03")).await.unwrap();
    let second = store.claim_notifications(9, LEASE, time("10:00:04")).await.unwrap();
    assert_eq!(second.iter().map(|it| it.event).collect::<Vec<_>>(), [NotificationEvent::Resolved]);
}

#[tokio::test]
async fn one_that_cannot_be_read_holds_nothing_back() {
    let (database, store) = store().await;
    let ops = channels(&["ops"]);
    store.raise_alert(&alert("a"), &ops, time("10:00:00")).await.unwrap();
    // A version to come has a severity that this one does not know.
    database.execute(r#"UPDATE notifications SET snapshot = snapshot || '{"severity": "fatal"}'"#).await;
    store.raise_alert(&alert("b"), &ops, time("10:00:00")).await.unwrap();
    let claimed = store.claim_notifications(9, LEASE, time("10:00:01")).await.unwrap();
    assert_eq!(claimed.iter().map(|it| it.alert.fingerprint.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(
        database.number("SELECT count(*) FROM notifications WHERE last_error LIKE '%fatal%'").await,
        1
    );
    assert_eq!(store.undelivered_notifications().await.unwrap(), 2);
}
