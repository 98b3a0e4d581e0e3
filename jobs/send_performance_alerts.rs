//! Delivers what waits in the outbox.
//!
//! First what waits on a channel is put together: what belongs together in one message, what is muted not at all, and a
//! storm as one digest. Then each message is sent by one worker alone. A message keeps its id at each attempt. One that
//! certainly did not arrive is taken apart, so that what it told is told anew with what has come since; one that may have
//! arrived is sent again as it is.
//!
//! A channel that is down loses nothing: it is asked again with growing pauses, and this job asks the queue to be run
//! again then. One that refuses a message for good raises an alert on the others.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{Labels, Severity};
use dogwatch_notify::{Message, SendError};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::{Delivery, Failure, StoreError};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::alerts::Finding;
use crate::message::message;
use crate::put_together::{Limits, Plan, plan};
use crate::services::Services;

/// Messages that are sent at the same time: one a channel.
const CONCURRENT: u32 = 20;
/// How long a claimed message is this run's without a sign of life; after a crash another sends it then.
const CLAIM: Duration = secs(30);
/// How often that sign is given.
const RENEW: Duration = secs(10);
/// Rounds of one run; the rest follows in the next.
const MAX_ROUNDS: u32 = 100;
/// Pauses of a channel that is down.
const BACK_OFF: Retry = Retry::exponential(u32::MAX, secs(2), mins(1));
/// The alert about a channel that does not take what is sent.
const CHANNEL_FAILED: &str = "channel_failed";
/// Failures in a row that are one.
const FAILURES: u32 = 5;

/// No arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SendPerformanceAlerts {}

/// What was delivered.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Sent {
    /// Messages that arrived.
    delivered: u32,
    /// Messages that were refused for good, or whose channel is gone.
    given_up: u32,
}

/// Some messages did not arrive.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {tried} messages were not delivered, the last because {last}")]
struct NotDelivered {
    failed: u32,
    tried: u32,
    last: String,
}

impl Job for SendPerformanceAlerts {
    const NAME: &'static str = "send_performance_alerts";
    const RETRY: Retry = Retry::exponential(20, secs(2), mins(5));
    const TIMEOUT: Duration = mins(10);
    type Context = Services;
    type Outcome = Sent;

    async fn run(self, cx: &Run<Services>) -> Result<Sent, JobError> {
        cx.alerting.remind(&cx.store, cx.clock.now()).await?;
        let Round { sent, mut failures } = send_waiting(cx).await?;
        let Some(again_in) = failures.iter().map(|(_, again_in)| *again_in).min() else {
            return Ok(sent);
        };
        let failed = u32::try_from(failures.len()).unwrap_or(u32::MAX);
        let last = failures.pop().map(|(error, _)| error.to_string()).unwrap_or_default();
        let tried = failed + sent.delivered + sent.given_up;
        Err(JobError::retry_after(again_in, NotDelivered { failed, tried, last }))
    }
}

/// What one round has come to.
#[derive(Debug, Default)]
pub struct Round {
    /// What arrived, and what was given up.
    sent: Sent,
    /// What did not arrive, and when it is tried again.
    failures: Vec<(SendError, Duration)>,
}

/// Sends everything that waits and may be told now. Also for who does not wait for the job.
///
/// # Errors
/// When Postgres does not answer.
pub async fn send_waiting(cx: &Services) -> Result<Round, StoreError> {
    let mut sent = Sent::default();
    let mut failures = Vec::new();
    for _ in 0..MAX_ROUNDS {
        put_together(cx).await?;
        let claimed = cx.store.claim_deliveries(CONCURRENT, CLAIM, cx.clock.now()).await?;
        if claimed.is_empty() {
            break;
        }
        let mut deliveries = Vec::with_capacity(claimed.len());
        for delivery in &claimed {
            deliveries.push(deliver(cx, delivery));
        }
        let mut deliveries = futures_util::stream::iter(deliveries).buffer_unordered(CONCURRENT as usize);
        while let Some(delivery) = deliveries.next().await {
            match delivery? {
                Outcome::Delivered => sent.delivered += 1,
                Outcome::GivenUp => sent.given_up += 1,
                Outcome::Failed { error, again_in } => failures.push((error, again_in)),
            }
        }
    }
    Ok(Round { sent, failures })
}

/// Makes messages of what waits on each channel, as far as nobody else is at it.
async fn put_together(cx: &Services) -> Result<(), StoreError> {
    let now = cx.clock.now();
    let channels = cx.store.channels_to_tell(now).await?;
    if channels.is_empty() {
        return Ok(());
    }
    let mutes = cx.alerting.mutes(&cx.store, now).await?;
    for channel in channels {
        let limits = Limits::of(cx.notifier.limit(&channel));
        let Some(mut turn) = cx.store.channel_turn(&channel, limits.per, now).await? else { continue };
        let Plan { messages, held, suppressed } = plan(&channel, turn.on_channel(), &mutes, &limits, now);
        for (group, ids) in messages {
            turn.put_together(group.as_deref(), &ids, now).await?;
        }
        for (ids, until, why) in held {
            turn.hold(&ids, until, why.as_deref()).await?;
        }
        for (ids, why) in suppressed {
            turn.suppress(&ids, &why, now).await?;
        }
        turn.commit().await?;
    }
    Ok(())
}

enum Outcome {
    Delivered,
    GivenUp,
    Failed { error: SendError, again_in: Duration },
}

async fn deliver(cx: &Services, delivery: &Delivery) -> Result<Outcome, StoreError> {
    let message = message(cx, delivery).await?;
    let error = match send(cx, delivery, &message).await {
        Ok(receipt) => {
            let now = cx.clock.now();
            let before = cx.store.delivered(delivery, receipt.as_deref(), now).await?;
            if before.failures > 0 {
                channel_works(cx, &delivery.channel, now).await?;
            }
            return Ok(Outcome::Delivered);
        }
        Err(error) => error,
    };
    let now = cx.clock.now();
    let (failure, again_in) = match &error {
        SendError::NoSuchChannel(_) | SendError::Permanent { .. } => (Failure::Permanent, Duration::ZERO),
        // An attempt before this one may have arrived: only the same id lets the receiver tell.
        SendError::NotReceived { retry_after, .. } if delivery.attempts > 1 => {
            (Failure::Unknown, pause(delivery, *retry_after))
        }
        SendError::NotReceived { retry_after, .. } => (Failure::NotReceived, pause(delivery, *retry_after)),
        SendError::Unknown { .. } => (Failure::Unknown, pause(delivery, None)),
    };
    let next_at = now + TimeDelta::from_std(again_in).unwrap_or(TimeDelta::minutes(5));
    let give_up_before = now - cx.alerting.settings.give_up_after;
    let given_up =
        cx.store.not_delivered(delivery, failure, &error.to_string(), next_at, give_up_before, now).await?;
    if given_up > 0 {
        tracing::error!(channel = delivery.channel, notifications = given_up, %error, "notifications given up");
    }
    if given_up > 0 || delivery.state.failures + 1 >= FAILURES {
        channel_fails(cx, delivery, &error, now).await?;
    }
    if failure == Failure::Permanent { Ok(Outcome::GivenUp) } else { Ok(Outcome::Failed { error, again_in }) }
}

/// Sends it, and keeps the claim meanwhile.
async fn send(cx: &Services, delivery: &Delivery, message: &Message) -> Result<Option<String>, SendError> {
    let mut sending = std::pin::pin!(cx.notifier.send(&delivery.channel, message, cx.clock.now()));
    loop {
        if let Ok(sent) = tokio::time::timeout(RENEW, &mut sending).await {
            return sent;
        }
        let until = cx.clock.now() + TimeDelta::from_std(CLAIM).unwrap_or(TimeDelta::seconds(30));
        if let Err(error) = cx.store.renew_claim(delivery, until).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a claim could not be renewed");
        }
    }
}

/// Full jitter could be nothing; a receiver that is down deserves a moment.
fn pause(delivery: &Delivery, asked: Option<Duration>) -> Duration {
    let pause = BACK_OFF.pause.after(delivery.state.failures + 1) + secs(1);
    pause.max(asked.unwrap_or_default())
}

fn finding(channel: &str) -> Finding {
    let labels: Labels =
        [("channel", channel)].map(|(label, value)| (label.to_owned(), value.to_owned())).into();
    Finding {
        fingerprint: format!("{CHANNEL_FAILED}:{channel}"),
        alert_type: CHANNEL_FAILED.to_owned(),
        severity: Some(Severity::High),
        title: format!("channel {channel} does not take alerts"),
        labels,
        ..Finding::default()
    }
}

/// An alert on the other channels; it waits on this one too, and is told there when it is over.
async fn channel_fails(
    cx: &Services,
    delivery: &Delivery,
    error: &SendError,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let failed = Finding { description: error.to_string(), ..finding(&delivery.channel) };
    cx.alerting.create_or_update(&cx.store, failed, false, now).await.map(drop)
}

async fn channel_works(cx: &Services, channel: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    cx.alerting.create_or_update(&cx.store, finding(channel), true, now).await.map(drop)
}

#[cfg(test)]
mod tests {
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
        bench
            .cx
            .alerting
            .create_or_update(&bench.cx.store, finding, is_over, bench.clock.now())
            .await
            .unwrap();
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
        let ids: Vec<_> =
            peer.requests().iter().map(|request| request.headers["webhook-id"].clone()).collect();
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
        let ids: Vec<_> =
            peer.requests().iter().map(|request| request.headers["webhook-id"].clone()).collect();
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
        let webhooks = format!(
            r#"{{"name": "ops", "url": "{}"}}, {{"name": "mail", "url": "{}"}}"#,
            ops.url(),
            mail.url()
        );
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
        let webhooks = format!(
            r#"{{"name": "ops", "url": "{}"}}, {{"name": "boss", "url": "{}"}}"#,
            ops.url(),
            boss.url()
        );
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
        let id = bench.cx.store.open_alerts().await.unwrap()[0].id;
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
        let sent = send(&bench).await;
        assert_eq!((sent.delivered >= 1, sent.given_up >= 1), (true, true), "{sent:?}");
        assert_eq!(bodies(&peer)[0]["title"], "a fails");
    }
}
