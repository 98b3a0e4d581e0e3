use std::time::Duration;

use chrono::TimeDelta;
use dogwatch_store::{AlertEvent, Delivery, Failure, NotificationFilter, Store};

use crate::{raise, resolve, store, time};

const LEASE: Duration = Duration::from_mins(1);
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Makes one message of everything that waits on a channel.
async fn put_together(store: &Store, channel: &str, at: &str) -> bool {
    let Some(mut turn) = store.channel_turn(channel, HOUR, time(at)).await.unwrap() else { return false };
    let ids: Vec<_> = turn.on_channel().waiting.iter().map(|waiting| waiting.id).collect();
    if !ids.is_empty() {
        turn.put_together(Some("g"), None, &ids, time(at)).await.unwrap();
    }
    turn.commit().await.unwrap();
    !ids.is_empty()
}

async fn claim(store: &Store, at: &str) -> Vec<Delivery> {
    store.claim_deliveries(9, LEASE, time(at)).await.unwrap()
}

fn events(delivery: &Delivery) -> Vec<AlertEvent> {
    delivery.told.iter().map(|told| told.event).collect()
}

#[tokio::test]
async fn what_waits_is_put_together_once_and_sent_by_one() {
    let (_database, store) = store().await;
    for n in 0..50 {
        raise(&store, &n.to_string(), &["ops", "mail"], time("10:00:00")).await.unwrap();
    }
    assert_eq!(store.channels_to_tell(time("10:00:00")).await.unwrap().len(), 2);
    let putting: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { put_together(&store, "ops", "10:00:01").await })
        })
        .collect();
    let mut made = 0;
    for put in putting {
        made += usize::from(put.await.unwrap());
    }
    assert_eq!(made, 1);
    let claiming: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { claim(&store, "10:00:02").await })
        })
        .collect();
    let mut claimed = Vec::new();
    for claim in claiming {
        claimed.extend(claim.await.unwrap());
    }
    assert_eq!((claimed.len(), claimed[0].told.len(), claimed[0].open_in_group), (1, 50, 50));
}

#[tokio::test]
async fn a_claim_lapses_and_a_late_answer_changes_nothing_but_a_success() {
    let (_database, store) = store().await;
    raise(&store, "a", &["ops"], time("10:00:00")).await.unwrap();
    assert!(put_together(&store, "ops", "10:00:00").await);
    let first = claim(&store, "10:00:00").await.remove(0);
    assert!(claim(&store, "10:00:59").await.is_empty());
    let second = claim(&store, "10:01:00").await.remove(0);
    assert_eq!((first.id, second.attempts), (second.id, 2));
    let fail = async |delivery: &Delivery| {
        let (next, before, now) = (time("10:05:00"), time("00:00:00"), time("10:01:01"));
        store.not_delivered(delivery, &Failure::NotReceived, "down", next, before, now).await.unwrap()
    };
    fail(&first).await;
    assert_eq!(store.undelivered_notifications().await.unwrap(), 1);
    // It has arrived, by whomever.
    store.delivered(&first, Some("ok"), time("10:01:02")).await.unwrap();
    fail(&second).await;
    assert_eq!(store.undelivered_notifications().await.unwrap(), 0);
    assert!(claim(&store, "12:00:00").await.is_empty());
}

#[tokio::test]
async fn what_has_not_arrived_is_told_anew_with_what_has_come_since() {
    let (_database, store) = store().await;
    raise(&store, "a", &["ops"], time("10:00:00")).await.unwrap();
    assert!(put_together(&store, "ops", "10:00:00").await);
    let first = claim(&store, "10:00:00").await.remove(0);
    // While a message is on its way, nothing else is put together.
    resolve(&store, "a", time("10:00:01")).await.unwrap();
    assert!(!put_together(&store, "ops", "10:00:02").await);
    let (next, now) = (time("10:05:00"), time("10:00:03"));
    store.not_delivered(&first, &Failure::NotReceived, "down", next, time("00:00:00"), now).await.unwrap();
    // The channel is not asked before.
    assert!(store.channels_to_tell(time("10:04:59")).await.unwrap().is_empty());
    assert_eq!(store.next_delivery_at().await.unwrap(), Some(next));
    assert_eq!(store.channels_to_tell(next).await.unwrap(), ["ops"]);
    assert!(put_together(&store, "ops", "10:05:00").await);
    let again = claim(&store, "10:05:00").await.remove(0);
    assert_ne!(again.id, first.id);
    assert_eq!((events(&again), again.open_in_group), (vec![AlertEvent::Raised, AlertEvent::Resolved], 0));
    assert_eq!((again.state.failures, again.state.failing_since), (1, Some(now)));
    assert_eq!(store.delivered(&again, None, time("10:05:01")).await.unwrap().failures, 1);
    assert_eq!(store.undelivered_notifications().await.unwrap(), 0);
}

#[tokio::test]
async fn what_may_have_arrived_is_sent_again_as_it_is_and_in_its_turn() {
    let (_database, store) = store().await;
    raise(&store, "a", &["ops"], time("10:00:00")).await.unwrap();
    assert!(put_together(&store, "ops", "10:00:00").await);
    let first = claim(&store, "10:00:00").await.remove(0);
    let (next, now) = (time("10:00:10"), time("10:00:01"));
    store.not_delivered(&first, &Failure::Unknown, "cut off", next, time("00:00:00"), now).await.unwrap();
    resolve(&store, "a", time("10:00:02")).await.unwrap();
    assert!(!put_together(&store, "ops", "10:00:20").await);
    let again = claim(&store, "10:00:20").await.remove(0);
    assert_eq!((again.id, events(&again)), (first.id, vec![AlertEvent::Raised]));
    store.delivered(&again, Some("17.5"), time("10:00:21")).await.unwrap();
    assert!(put_together(&store, "ops", "10:00:22").await);
    let end = claim(&store, "10:00:22").await.remove(0);
    assert_eq!(
        (events(&end), end.thread),
        (vec![AlertEvent::Resolved], Some((first.id, Some("17.5".to_owned()))))
    );
}

#[tokio::test]
async fn what_is_refused_or_too_old_is_given_up_and_seen() {
    let (_database, store) = store().await;
    let failed =
        NotificationFilter { state: Some("failed".to_owned()), limit: 9, ..NotificationFilter::default() };
    raise(&store, "a", &["ops"], time("10:00:00")).await.unwrap();
    assert!(put_together(&store, "ops", "10:00:00").await);
    let first = claim(&store, "10:00:00").await.remove(0);
    let now = time("10:00:01");
    let given_up =
        store.not_delivered(&first, &Failure::Permanent, "404", now, time("00:00:00"), now).await.unwrap();
    let told = store.notifications(&failed).await.unwrap();
    assert_eq!((given_up, told.len(), told[0].reason.as_deref()), (1, 1, Some("404")));
    // It holds nothing back.
    raise(&store, "b", &["ops"], time("10:00:00")).await.unwrap();
    assert!(put_together(&store, "ops", "10:00:02").await);
    let second = claim(&store, "10:00:02").await.remove(0);
    let (next, now) = (time("10:00:05"), time("10:00:03"));
    let given_up = store
        .not_delivered(&second, &Failure::NotReceived, "down", next, time("10:00:02"), now)
        .await
        .unwrap();
    assert_eq!((given_up, store.notifications(&failed).await.unwrap().len()), (1, 2));
}

#[tokio::test]
async fn what_is_old_is_not_given_up_at_the_first_failure() {
    let (_database, store) = store().await;
    raise(&store, "a", &["ops"], time("01:00:00")).await.unwrap();
    for failure in [Failure::NotReceived, Failure::Unknown] {
        put_together(&store, "ops", "10:00:00").await;
        let delivery = claim(&store, "10:00:00").await.remove(0);
        let (next, now, before) = (time("10:00:00"), time("10:00:00"), time("09:00:00"));
        assert_eq!(store.not_delivered(&delivery, &failure, "down", next, before, now).await.unwrap(), 0);
    }
    // The channel took nothing for so long either.
    let delivery = claim(&store, "12:00:00").await.remove(0);
    let (now, before) = (time("12:00:00"), time("11:00:00"));
    assert_eq!(store.not_delivered(&delivery, &Failure::Unknown, "down", now, before, now).await.unwrap(), 1);
    assert!(claim(&store, "13:00:00").await.is_empty());
}

#[tokio::test]
async fn who_does_not_have_it_yet_is_tried_again_and_keeps_nothing_from_the_others() {
    let (_database, store) = store().await;
    raise(&store, "a", &["mail"], time("10:00:00")).await.unwrap();
    assert!(put_together(&store, "mail", "10:00:00").await);
    let first = claim(&store, "10:00:00").await.remove(0);
    let full = Failure::Partly(vec!["full@example.com".to_owned()]);
    let (next, now, before) = (time("10:05:00"), time("10:00:01"), time("09:00:00"));
    store.not_delivered(&first, &full, "452", next, before, now).await.unwrap();
    resolve(&store, "a", time("10:00:02")).await.unwrap();
    assert!(put_together(&store, "mail", "10:00:03").await);
    let end = claim(&store, "10:00:03").await.remove(0);
    assert_eq!((events(&end), end.recipients.as_deref()), (vec![AlertEvent::Resolved], None));
    assert_eq!(end.state.failures, 0, "the channel works");
    store.delivered(&end, None, time("10:00:04")).await.unwrap();
    let again = claim(&store, "10:05:00").await.remove(0);
    assert_eq!(
        (again.id, again.recipients.as_deref()),
        (first.id, Some(["full@example.com".to_owned()].as_slice()))
    );
    store.delivered(&again, None, time("10:05:01")).await.unwrap();
    assert_eq!(store.undelivered_notifications().await.unwrap(), 0);
}

#[tokio::test]
async fn a_digest_is_a_group_of_its_own() {
    let (_database, store) = store().await;
    for service in ["a", "b"] {
        raise(&store, service, &["pager"], time("10:00:00")).await.unwrap();
    }
    let mut turn = store.channel_turn("pager", HOUR, time("10:00:00")).await.unwrap().unwrap();
    let ids: Vec<_> = turn.on_channel().waiting.iter().map(|waiting| waiting.id).collect();
    turn.put_together(None, None, &ids, time("10:00:00")).await.unwrap();
    turn.commit().await.unwrap();
    let digest = claim(&store, "10:00:00").await.remove(0);
    assert_eq!((digest.is_digest, digest.open_in_group), (true, 2));
    store.delivered(&digest, None, time("10:00:01")).await.unwrap();
    resolve(&store, "a", time("10:01:00")).await.unwrap();
    let turn = store.channel_turn("pager", HOUR, time("10:01:00")).await.unwrap().unwrap();
    let end = &turn.on_channel().waiting[0];
    assert_eq!((&end.group, end.was_told), (&digest.group, true));
}

#[tokio::test]
async fn one_that_cannot_be_read_holds_nothing_back() {
    let (database, store) = store().await;
    raise(&store, "a", &["ops"], time("10:00:00")).await.unwrap();
    // A version to come has a severity that this one does not know.
    database.execute(r#"UPDATE notifications SET snapshot = snapshot || '{"severity": "fatal"}'"#).await;
    raise(&store, "b", &["ops"], time("10:00:00")).await.unwrap();
    assert!(put_together(&store, "ops", "10:00:01").await);
    let told = claim(&store, "10:00:01").await.remove(0).told;
    assert_eq!(told.iter().map(|told| told.alert.fingerprint.as_str()).collect::<Vec<_>>(), ["b"]);
    let unreadable = "SELECT count(*) FROM notifications WHERE last_error LIKE '%fatal%'";
    assert_eq!(database.number(unreadable).await, 1);
}
