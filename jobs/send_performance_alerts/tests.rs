//! Messages at real receivers: together, once, in order, and to their end.

use super::*;
use crate::tests_support::Bench;
use dogwatch_queue::NextStep;
use dogwatch_testing::HttpPeer;
use serde_json::Value;

async fn bench(peer: &HttpPeer) -> Bench {
    Bench::new(&format!(r#"{{"name": "ops", "url": "{}", "timeout": "1s"}}"#, peer.url())).await
}

/// Raises an alert, or ends it.
async fn set(bench: &Bench, service: &str, is_over: bool) {
    let finding = Finding {
        fingerprint: format!("test:{service}"),
        alert_type: "test".to_owned(),
        severity: Some(Severity::High),
        title: format!("{service} fails"),
        labels: [("service".to_owned(), service.to_owned())].into(),
        ..Finding::default()
    };
    bench.cx.alerting.create_or_update(&bench.cx.store, finding, is_over, bench.clock.now()).await.unwrap();
}

async fn send(bench: &Bench) -> Sent {
    SendPerformanceAlerts {}.run(&bench.cx).await.unwrap()
}

fn bodies(peer: &HttpPeer) -> Vec<Value> {
    peer.requests().iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect()
}

#[tokio::test]
async fn what_waits_is_told_once_together_and_a_second_run_finds_nothing() {
    let peer = HttpPeer::start().await;
    let bench = bench(&peer).await;
    set(&bench, "a", false).await;
    set(&bench, "b", false).await;
    // To the webhook and the log: a message for each service.
    assert_eq!(send(&bench).await.delivered, 4);
    assert_eq!(send(&bench).await, Sent::default());
    bench.clock.advance(secs(60));
    set(&bench, "a", true).await;
    assert_eq!(send(&bench).await.delivered, 2);
    let told: Vec<_> =
        bodies(&peer).iter().map(|body| (body["status"].clone(), body["title"].clone())).collect();
    assert_eq!(
        told,
        [("raised", "a fails"), ("raised", "b fails"), ("resolved", "Resolved: a fails")]
            .map(|(a, b)| (a.into(), b.into()))
    );
}

#[tokio::test]
async fn a_storm_is_a_digest_that_says_how_many() {
    let peer = HttpPeer::start().await;
    let bench = bench(&peer).await;
    for n in 0..50 {
        set(&bench, &format!("service-{n}"), false).await;
    }
    assert_eq!(send(&bench).await.delivered, 2);
    let body = &bodies(&peer)[0];
    assert_eq!((&body["total"], body["alerts"].as_array().unwrap().len()), (&50.into(), 20));
    assert!(body["title"].as_str().unwrap().starts_with("50 active alerts"), "{body}");
}

#[tokio::test]
async fn a_receiver_that_refuses_is_tried_again_when_the_job_says() {
    let peer = HttpPeer::start().await;
    peer.answer(503, "busy");
    let bench = bench(&peer).await;
    set(&bench, "a", false).await;
    let error = SendPerformanceAlerts {}.run(&bench.cx).await.unwrap_err();
    assert!(error.to_string().ends_with("the receiver answered 503: busy"), "{error}");
    let NextStep::RetryAfter(pause) = error.next() else { panic!("{error:?}") };
    assert!(pause >= secs(1) && pause <= secs(9), "{pause:?}");
    // Not before its time, whoever asks.
    assert_eq!(send(&bench).await, Sent::default());
    peer.answer(200, "ok");
    bench.clock.advance(pause);
    assert_eq!(send(&bench).await.delivered, 1);
    assert_eq!(peer.requests().len(), 2);
}

#[tokio::test]
async fn what_may_have_arrived_comes_again_under_the_same_id() {
    let peer = HttpPeer::start().await;
    peer.hang_up();
    let bench = bench(&peer).await;
    set(&bench, "a", false).await;
    SendPerformanceAlerts {}.run(&bench.cx).await.unwrap_err();
    set(&bench, "a", true).await;
    peer.answer(200, "ok");
    bench.clock.advance(mins(10));
    while send(&bench).await != Sent::default() {}
    let ids: Vec<_> = peer.requests().iter().map(|request| request.headers["webhook-id"].clone()).collect();
    assert!(ids.len() == 3 && ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn what_may_have_arrived_keeps_its_id_also_when_it_is_refused_afterwards() {
    let peer = HttpPeer::start().await;
    peer.hang_up();
    let bench = bench(&peer).await;
    set(&bench, "a", false).await;
    SendPerformanceAlerts {}.run(&bench.cx).await.unwrap_err();
    peer.answer(503, "busy");
    bench.clock.advance(mins(2));
    SendPerformanceAlerts {}.run(&bench.cx).await.unwrap_err();
    peer.answer(200, "ok");
    bench.clock.advance(mins(2));
    while send(&bench).await != Sent::default() {}
    let ids: Vec<_> = peer.requests().iter().map(|request| request.headers["webhook-id"].clone()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn what_began_and_ended_while_a_channel_was_down_is_told_late_in_one_message() {
    let peer = HttpPeer::start().await;
    peer.pause().await;
    let bench = bench(&peer).await;
    set(&bench, "a", false).await;
    SendPerformanceAlerts {}.run(&bench.cx).await.unwrap_err();
    bench.clock.advance(mins(17));
    set(&bench, "a", true).await;
    peer.resume().await;
    while send(&bench).await != Sent::default() {}
    let bodies = bodies(&peer);
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let alert = &bodies[0]["alerts"][0];
    assert_eq!((&bodies[0]["status"], &alert["event"]), (&"resolved".into(), &"resolved".into()));
    assert_eq!(
        (&alert["raised_at"], &alert["at"]),
        (&"2026-05-20T12:00:00Z".into(), &"2026-05-20T12:17:00Z".into())
    );
    let late = bodies[0]["late"].as_str().unwrap();
    assert!(
        late.starts_with("Delivered late: since 2026-05-20 12:00 UTC this channel took nothing"),
        "{late}"
    );
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_an_alert_on_the_other_channels() {
    let (ops, mail) = (HttpPeer::start().await, HttpPeer::start().await);
    ops.answer(404, "gone");
    let webhooks =
        format!(r#"{{"name": "ops", "url": "{}"}}, {{"name": "mail", "url": "{}"}}"#, ops.url(), mail.url());
    let bench = Bench::new(&webhooks).await;
    set(&bench, "a", false).await;
    while send(&bench).await != Sent::default() {}
    let titles: Vec<_> = bodies(&mail).iter().map(|body| body["title"].clone()).collect();
    assert_eq!(titles, ["a fails", "channel ops does not take alerts"]);
    let failed = "SELECT count(*) FROM notifications WHERE abandoned_at IS NOT NULL AND channel = 'ops'";
    assert_eq!(bench.database.number(failed).await, 2);
    assert_eq!(ops.requests().len(), 2, "it is not tried for ever");
    // It is mended: the next alert is told, and that the channel works.
    ops.answer(200, "ok");
    bench.clock.advance(mins(5));
    set(&bench, "b", false).await;
    while send(&bench).await != Sent::default() {}
    let titles: Vec<_> = bodies(&mail).iter().map(|body| body["title"].clone()).collect();
    assert_eq!(titles.last().unwrap(), "Resolved: channel ops does not take alerts");
}

#[tokio::test]
async fn what_is_silenced_waits_and_is_told_when_it_still_holds() {
    let peer = HttpPeer::start().await;
    let bench = bench(&peer).await;
    let now = bench.clock.now();
    let silence = dogwatch_store::StoredSilence {
        id: uuid::Uuid::now_v7(),
        matcher: dogwatch_alerting::Matcher::of([("alert_type".to_owned(), "test".to_owned())]),
        starts_at: now,
        ends_at: now + TimeDelta::hours(1),
        created_by: "bob".to_owned(),
        comment: "deploy".to_owned(),
    };
    bench.cx.store.insert_silence(&silence).await.unwrap();
    set(&bench, "a", false).await;
    set(&bench, "b", false).await;
    assert_eq!(send(&bench).await, Sent::default());
    bench.clock.advance(mins(10));
    set(&bench, "b", true).await;
    assert_eq!(send(&bench).await, Sent::default());
    bench.clock.advance(mins(51));
    while send(&bench).await != Sent::default() {}
    let titles: Vec<_> = bodies(&peer).iter().map(|body| body["title"].clone()).collect();
    assert_eq!(titles, ["a fails"], "what was over before is not told");
    let states = "SELECT count(*) FROM notifications WHERE suppressed_at IS NOT NULL AND channel = 'ops'";
    assert_eq!(bench.database.number(states).await, 2);
}

#[tokio::test]
async fn who_has_not_acknowledged_is_reminded_and_others_are_told() {
    let (ops, boss) = (HttpPeer::start().await, HttpPeer::start().await);
    let webhooks =
        format!(r#"{{"name": "ops", "url": "{}"}}, {{"name": "boss", "url": "{}"}}"#, ops.url(), boss.url());
    let mut bench = Bench::new(&webhooks).await;
    let route = r#"{"channels": ["ops"], "group_wait": "0s", "group_interval": "0s", "repeat": "1h",
                    "escalate_after": "15m", "escalate_to": ["boss"]}"#;
    let channels = [("ops".to_owned(), Severity::Low), ("boss".to_owned(), Severity::Low)].into();
    let routing = dogwatch_alerting::Routing::new(vec![serde_json::from_str(route).unwrap()], channels);
    bench.change(|services| services.alerting.routing = routing);
    set(&bench, "a", false).await;
    for _ in 0..10 {
        while send(&bench).await != Sent::default() {}
        bench.clock.advance(mins(13));
    }
    let events =
        |peer| bodies(peer).iter().map(|body| body["alerts"][0]["event"].clone()).collect::<Vec<_>>();
    assert_eq!(events(&ops), ["raised", "reminded"]);
    assert_eq!(events(&boss), ["escalated"]);
    // Someone looks into it.
    let id = bench.open_alerts().await[0].id;
    bench.cx.alerting.acknowledge(&bench.cx.store, id, "bob", None, bench.clock.now()).await.unwrap();
    bench.clock.advance(mins(200));
    assert_eq!(send(&bench).await, Sent::default());
    // Both are told of the end.
    set(&bench, "a", true).await;
    assert_eq!(send(&bench).await.delivered, 2);
}

#[tokio::test]
async fn a_channel_that_is_gone_holds_nothing_back() {
    let peer = HttpPeer::start().await;
    let mut bench = bench(&peer).await;
    let channels = [("ops".to_owned(), Severity::Low), ("pager".to_owned(), Severity::Low)].into();
    bench.change(|services| {
        services.alerting.routing = dogwatch_alerting::Routing::new(Vec::new(), channels);
    });
    set(&bench, "a", false).await;
    bench.clock.advance(secs(10));
    assert_eq!(send(&bench).await, Sent { delivered: 1, given_up: 0 });
    assert_eq!(bodies(&peer)[0]["title"], "a fails");
    // During a restart another process may know it; a day later none does.
    bench.clock.advance(mins(60));
    assert_eq!(send(&bench).await, Sent::default());
    for pause in [mins(24 * 60), mins(1)] {
        bench.clock.advance(pause);
        while send(&bench).await != Sent::default() {}
    }
    let titles: Vec<_> = bodies(&peer).iter().map(|body| body["title"].clone()).collect();
    assert_eq!(titles, ["a fails", "channel pager does not take alerts"]);
}

async fn pager() -> (HttpPeer, Bench) {
    let peer = HttpPeer::start().await;
    peer.answer(202, r#"{"status": "success"}"#);
    let settings = serde_json::json!({
        "log": {"enabled": false, "min_severity": "low"},
        "pagerduty": [{"name": "pager", "url": peer.url(), "routing_key": "R"}],
    });
    let bench = Bench::with(serde_json::from_value(settings).unwrap()).await;
    (peer, bench)
}

fn incidents(peer: &HttpPeer) -> Vec<(String, String)> {
    let text = |body: &Value, key: &str| body[key].as_str().unwrap().to_owned();
    bodies(peer).iter().map(|body| (text(body, "event_action"), text(body, "dedup_key"))).collect()
}

#[tokio::test]
async fn an_incident_that_a_digest_opened_is_closed_when_all_of_it_is_over() {
    let (peer, bench) = pager().await;
    let services: Vec<String> = (0..7).map(|n| format!("service-{n}")).collect();
    for service in &services {
        set(&bench, service, false).await;
    }
    send(&bench).await;
    for service in &services {
        bench.clock.advance(mins(2));
        set(&bench, service, true).await;
        send(&bench).await;
    }
    let told = incidents(&peer);
    assert!(told.iter().all(|(_, key)| *key == told[0].1), "{told:?}");
    let actions: Vec<_> = told.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, [["trigger"; 7].as_slice(), &["resolve"]].concat());
}

#[tokio::test]
async fn a_reminder_belongs_to_the_incident_that_a_digest_opened() {
    let (peer, mut bench) = pager().await;
    let route = r#"{"channels": ["pager"], "group_wait": "0s", "group_interval": "0s", "repeat": "1h"}"#;
    let channels = [("pager".to_owned(), Severity::Low)].into();
    let routing = dogwatch_alerting::Routing::new(vec![serde_json::from_str(route).unwrap()], channels);
    bench.change(|services| services.alerting.routing = routing);
    let services: Vec<String> = (0..7).map(|n| format!("service-{n}")).collect();
    for service in &services {
        set(&bench, service, false).await;
    }
    send(&bench).await;
    bench.clock.advance(mins(61));
    send(&bench).await;
    bench.clock.advance(mins(2));
    for service in &services {
        set(&bench, service, true).await;
    }
    send(&bench).await;
    let told = incidents(&peer);
    let actions: Vec<_> = told.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert!(told.iter().all(|(_, key)| *key == told[0].1), "{told:?}");
}

#[tokio::test]
async fn an_incident_that_was_opened_is_not_forgotten_when_its_end_is_refused_for_now() {
    let (peer, bench) = pager().await;
    set(&bench, "a", false).await;
    set(&bench, "a", true).await;
    peer.answer_in_turn(&[202, 503]);
    SendPerformanceAlerts {}.run(&bench.cx).await.unwrap_err();
    let silence = dogwatch_store::StoredSilence {
        id: uuid::Uuid::now_v7(),
        matcher: dogwatch_alerting::Matcher::of([("alert_type".to_owned(), "*".to_owned())]),
        starts_at: bench.clock.now(),
        ends_at: bench.clock.now() + TimeDelta::hours(1),
        created_by: "bob".to_owned(),
        comment: "I know".to_owned(),
    };
    bench.cx.store.insert_silence(&silence).await.unwrap();
    peer.answer(202, "{}");
    bench.clock.advance(mins(2));
    send(&bench).await;
    let actions: Vec<_> = incidents(&peer).into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["trigger", "resolve", "trigger", "resolve"]);
}

#[tokio::test]
async fn what_was_silenced_keeps_no_incident_open() {
    let (peer, bench) = pager().await;
    let now = bench.clock.now();
    set(&bench, "a", false).await;
    send(&bench).await;
    let silence = dogwatch_store::StoredSilence {
        id: uuid::Uuid::now_v7(),
        matcher: dogwatch_alerting::Matcher::of([("service".to_owned(), "b".to_owned())]),
        starts_at: now,
        ends_at: now + TimeDelta::hours(1),
        created_by: "bob".to_owned(),
        comment: "known".to_owned(),
    };
    bench.cx.store.insert_silence(&silence).await.unwrap();
    set(&bench, "b", false).await;
    send(&bench).await;
    set(&bench, "a", true).await;
    send(&bench).await;
    let actions: Vec<_> = incidents(&peer).into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
}

#[tokio::test]
async fn nobody_is_reminded_of_what_has_just_ended() {
    let peer = HttpPeer::start().await;
    let mut bench = bench(&peer).await;
    let route = r#"{"channels": ["ops"], "repeat": "1h"}"#;
    let channels = [("ops".to_owned(), Severity::Low)].into();
    let routing = dogwatch_alerting::Routing::new(vec![serde_json::from_str(route).unwrap()], channels);
    bench.change(|services| services.alerting.routing = routing);
    set(&bench, "a", false).await;
    bench.clock.advance(mins(90));
    let now = bench.clock.now();
    let mut turn = bench.cx.store.alert_turn().await.unwrap();
    let mut alert = turn.take("test:a").await.unwrap().unwrap();
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let end_it = async {
        let is_waiting = async || bench.database.number(waits).await == 1;
        dogwatch_testing::eventually(secs(10), "it waits for the alert", is_waiting).await;
        (alert.status, alert.resolved_at) = (dogwatch_alerting::Status::Resolved, Some(now));
        turn.save(&alert, None, &[], now).await.unwrap();
        turn.commit().await.unwrap();
    };
    let (reminded, ()) = tokio::join!(bench.cx.alerting.remind(&bench.cx.store, now), end_it);
    assert_eq!(reminded.unwrap(), 0);
}

#[tokio::test]
async fn who_cannot_be_reached_is_an_alert_for_the_others() {
    let peer = dogwatch_testing::SmtpPeer::start().await;
    peer.fail(dogwatch_testing::SmtpFault::RecipientOf("gone", 550));
    let settings = serde_json::json!({
        "log": {"enabled": false, "min_severity": "low"},
        "email": [{"name": "mail", "host": "127.0.0.1", "port": peer.port(), "security": "none",
                   "from": "d@example.com", "to": ["here@example.com", "gone@example.com"]}],
    });
    let bench = Bench::with(serde_json::from_value(settings).unwrap()).await;
    set(&bench, "a", false).await;
    while send(&bench).await != Sent::default() {}
    let subjects: Vec<_> = peer.mails().iter().map(|mail| mail.header("Subject")).collect();
    assert_eq!(subjects, ["[high] a fails", "[high] channel mail does not reach all its recipients"]);
    peer.fail(dogwatch_testing::SmtpFault::None);
    bench.clock.advance(mins(5));
    set(&bench, "a", true).await;
    while send(&bench).await != Sent::default() {}
    assert!(peer.mails().last().unwrap().header("Subject").starts_with("Resolved: channel mail"));
}
