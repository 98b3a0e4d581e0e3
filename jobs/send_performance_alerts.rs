//! Delivers the notifications that wait in the outbox.
//!
//! A notification is written in the transaction that changes its alert, so none is forgotten. It is delivered at
//! least once: should the process die between the delivery and the note of it, the receiver gets it again, with the
//! same `webhook-id`. A receiver that is down loses nothing: the notification keeps a time of its next attempt, and
//! this job asks the queue to be run again then.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_notify::{Event, Message, Notifier, SendError, Severity};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::{Notification, NotificationEvent, Store, StoreError};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::services::Services;

/// Delivered in one go; the rest follows in the same run.
const BATCH: u32 = 20;
/// Delivered at the same time.
const CONCURRENT: usize = 10;
/// How long a claimed notification is this run's: longer than a batch can take.
const CLAIM: Duration = mins(2);
/// Back-off of one notification.
const BACK_OFF: Retry = Retry::exponential(u32::MAX, secs(4), mins(5));

/// No arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SendPerformanceAlerts {}

/// What was delivered.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Sent {
    delivered: u32,
    /// To channels that are no longer configured: given up.
    abandoned: u32,
}

/// Some deliveries failed.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {tried} notifications were not delivered, the last because {last}")]
struct NotDelivered {
    failed: u32,
    tried: u32,
    last: String,
}

impl Job for SendPerformanceAlerts {
    const NAME: &'static str = "send_performance_alerts";
    const RETRY: Retry = Retry::exponential(20, secs(2), mins(5));
    const TIMEOUT: Duration = mins(2);
    type Context = Services;
    type Outcome = Sent;

    async fn run(self, cx: &Run<Services>) -> Result<Sent, JobError> {
        let mut sent = Sent::default();
        let mut failures = Vec::new();
        loop {
            let claimed = cx.store.claim_notifications(BATCH, CLAIM, cx.clock.now()).await?;
            let last_batch = claimed.len() < BATCH as usize;
            let deliveries = claimed
                .into_iter()
                .map(|notification| deliver(&cx.store, &cx.notifier, notification, cx.clock.now()));
            let mut deliveries = futures_util::stream::iter(deliveries).buffer_unordered(CONCURRENT);
            while let Some(delivery) = deliveries.next().await {
                match delivery? {
                    Delivery::Delivered => sent.delivered += 1,
                    Delivery::Abandoned => sent.abandoned += 1,
                    Delivery::Failed { error, again_in } => failures.push((error, again_in)),
                }
            }
            if last_batch {
                break;
            }
        }
        let Some(again_in) = failures.iter().map(|(_, again_in)| *again_in).min() else {
            return Ok(sent);
        };
        let failed = u32::try_from(failures.len()).unwrap_or(u32::MAX);
        let last = failures.pop().map(|(error, _)| error.to_string()).unwrap_or_default();
        let tried = failed + sent.delivered;
        Err(JobError::retry_after(again_in, NotDelivered { failed, tried, last }))
    }
}

enum Delivery {
    Delivered,
    Abandoned,
    Failed { error: SendError, again_in: Duration },
}

async fn deliver(
    store: &Store,
    notifier: &Notifier,
    notification: Notification,
    now: DateTime<Utc>,
) -> Result<Delivery, StoreError> {
    let error = match notifier.send(&notification.channel, &message(&notification)).await {
        Ok(()) => {
            store.notification_delivered(notification.id, now).await?;
            return Ok(Delivery::Delivered);
        }
        Err(error) => error,
    };
    if let SendError::NoSuchChannel(channel) = &error {
        tracing::error!(channel, alert.id = %notification.alert_id, "notification given up: channel `{channel}` is not configured any more");
        store.notification_abandoned(notification.id, &error.to_string(), now).await?;
        return Ok(Delivery::Abandoned);
    }
    let asked = match &error {
        SendError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    // Full jitter could be nothing; a receiver that is down deserves a moment.
    let pause = BACK_OFF.pause.after(notification.attempts) + secs(1);
    let again_in = pause.max(asked.min(mins(30)));
    let not_before = now + TimeDelta::from_std(again_in).unwrap_or(TimeDelta::minutes(5));
    store.notification_failed(notification.id, &error.to_string(), not_before).await?;
    Ok(Delivery::Failed { error, again_in })
}

/// The row in the words of the channels.
fn message(notification: &Notification) -> Message {
    let Notification { id, alert_id, event, created_at, ref alert, .. } = *notification;
    Message {
        id,
        event: match event {
            NotificationEvent::Raised => Event::Raised,
            NotificationEvent::Resolved => Event::Resolved,
        },
        at: created_at,
        alert_id,
        fingerprint: alert.fingerprint.clone(),
        alert_type: alert.alert_type.clone(),
        severity: severity(alert.severity),
        title: alert.title.clone(),
        description: alert.description.clone(),
        service: alert.service.clone(),
        endpoint: alert.endpoint.clone(),
        host: alert.host.clone(),
        value: alert.value,
        threshold: alert.threshold,
        unit: alert.unit.clone(),
        first_seen_at: alert.first_seen_at,
    }
}

/// The store's word in the words of the channels.
pub(crate) fn severity(stored: dogwatch_store::Severity) -> Severity {
    match stored {
        dogwatch_store::Severity::Low => Severity::Low,
        dogwatch_store::Severity::Medium => Severity::Medium,
        dogwatch_store::Severity::High => Severity::High,
        dogwatch_store::Severity::Critical => Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;
    use dogwatch_queue::NextStep;
    use dogwatch_store::NewAlert;
    use dogwatch_testing::HttpPeer;

    async fn bench(peer: &HttpPeer) -> Bench {
        Bench::new(&format!(r#"{{"name": "ops", "url": "{}", "timeout": "1s"}}"#, peer.url())).await
    }

    async fn raise(bench: &Bench, fingerprint: &str, channel: &str) {
        let alert = NewAlert {
            fingerprint: fingerprint.to_owned(),
            alert_type: "error_rate".to_owned(),
            severity: dogwatch_store::Severity::High,
            title: "shop fails".to_owned(),
            description: String::new(),
            service: None,
            endpoint: None,
            host: None,
            value: None,
            threshold: None,
            unit: None,
        };
        bench.cx.store.raise_alert(&alert, &[channel.to_owned()], bench.clock.now()).await.unwrap();
    }

    #[tokio::test]
    async fn what_waits_is_delivered_once_and_a_second_run_finds_nothing() {
        let peer = HttpPeer::start().await;
        let bench = bench(&peer).await;
        for n in 0..30 {
            raise(&bench, &n.to_string(), "ops").await;
        }
        assert_eq!(SendPerformanceAlerts {}.run(&bench.cx).await.unwrap().delivered, 30);
        assert_eq!(SendPerformanceAlerts {}.run(&bench.cx).await.unwrap(), Sent::default());
        assert_eq!(peer.requests().len(), 30);
    }

    #[tokio::test]
    async fn a_receiver_that_refuses_is_tried_again_when_the_job_says() {
        let peer = HttpPeer::start().await;
        peer.answer(503, "busy");
        let bench = bench(&peer).await;
        raise(&bench, "a", "ops").await;
        let error = SendPerformanceAlerts {}.run(&bench.cx).await.unwrap_err();
        assert!(error.to_string().ends_with("the receiver answered 503: busy"), "{error}");
        let NextStep::RetryAfter(pause) = error.next() else { panic!("{error:?}") };
        assert!(pause >= secs(1) && pause <= secs(5), "{pause:?}");
        // Not before its time, whoever asks.
        assert_eq!(SendPerformanceAlerts {}.run(&bench.cx).await.unwrap(), Sent::default());
        peer.answer(200, "ok");
        bench.clock.advance(pause);
        assert_eq!(SendPerformanceAlerts {}.run(&bench.cx).await.unwrap().delivered, 1);
        let ids: Vec<_> =
            peer.requests().iter().map(|request| request.headers["webhook-id"].clone()).collect();
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    }

    #[tokio::test]
    async fn a_channel_that_is_gone_holds_nothing_back() {
        let peer = HttpPeer::start().await;
        let bench = bench(&peer).await;
        raise(&bench, "a", "pager").await;
        raise(&bench, "b", "ops").await;
        let sent = SendPerformanceAlerts {}.run(&bench.cx).await.unwrap();
        assert_eq!(sent, Sent { delivered: 1, abandoned: 1 });
    }
}
