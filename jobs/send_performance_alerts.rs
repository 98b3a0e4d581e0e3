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
use dogwatch_notify::{Message, Receipt, SendError};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::{Delivery, Failure, StoreError};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::alerts::{CHANNEL_FAILED, Finding, RECIPIENT_REFUSED};
use crate::message::message;
use crate::put_together::{Limits, NewMessage, Plan, plan};
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
/// Pauses for recipients who cannot have a message yet that others have: a mailbox that is full, a server that wants to see
/// us come back.
const MAILBOX_BACK_OFF: Retry = Retry::exponential(u32::MAX, mins(1), mins(60));
/// When a channel that is not configured here is looked for again.
const UNKNOWN_CHANNEL: Duration = mins(1);
/// Failures in a row that are a channel that has failed.
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
        let mut unnoted = None;
        while let Some(delivery) = deliveries.next().await {
            match delivery {
                Ok(Outcome::Delivered) => sent.delivered += 1,
                Ok(Outcome::GivenUp) => sent.given_up += 1,
                Ok(Outcome::Waits) => {}
                Ok(Outcome::Failed { error, again_in }) => failures.push((error, again_in)),
                // The others are on their way: their outcome is to be noted first.
                Err(error) => unnoted = Some(error),
            }
        }
        if let Some(error) = unnoted {
            return Err(error);
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
        let limits = Limits::new(cx.notifier.limit(&channel), cx.notifier.keeps_incidents(&channel));
        let Some(mut turn) = cx.store.channel_turn(&channel, limits.per(), now).await? else { continue };
        let Plan { messages, held, suppressed, beyond_limit } =
            plan(&channel, turn.on_channel(), &mutes, &limits, now);
        for NewMessage { group, origin, ids } in messages {
            turn.put_together(group.as_deref(), origin.as_deref(), &ids, now).await?;
        }
        for (ids, until, why) in held {
            turn.hold(&ids, until, why.as_deref()).await?;
        }
        for (ids, why) in suppressed {
            turn.suppress(&ids, &why, now).await?;
        }
        turn.commit().await?;
        if beyond_limit > 0
            && let Some(due) = cx.limits_reached.count(&channel)
        {
            tracing::warn!(
                channel = due.name,
                notifications = beyond_limit,
                "the channel has reached its limit: {}",
                limits.words()
            );
        }
    }
    Ok(())
}

enum Outcome {
    Delivered,
    GivenUp,
    Failed {
        error: SendError,
        again_in: Duration,
    },
    /// This process does not know the channel.
    Waits,
}

async fn deliver(cx: &Services, delivery: &Delivery) -> Result<Outcome, StoreError> {
    let message = message(cx, delivery).await;
    match send(cx, delivery, &message).await {
        Ok(receipt) => arrived(cx, delivery, receipt).await,
        Err(error) => failed(cx, delivery, error).await,
    }
}

async fn arrived(cx: &Services, delivery: &Delivery, receipt: Receipt) -> Result<Outcome, StoreError> {
    let now = cx.clock.now();
    cx.store.delivered(delivery, receipt.name.as_deref(), now).await?;
    // Whatever was noted before: whoever noted it may have been killed since.
    channel_works(cx, &delivery.channel, now).await?;
    // Of the others a mail to a few says nothing.
    if delivery.recipients.is_none() || receipt.refused.is_some() {
        recipients_refused(cx, &delivery.channel, receipt.refused, now).await?;
    }
    Ok(Outcome::Delivered)
}

async fn failed(cx: &Services, delivery: &Delivery, error: SendError) -> Result<Outcome, StoreError> {
    let now = cx.clock.now();
    let (failure, again_in) = judge(delivery, &error);
    let next_at = now + TimeDelta::from_std(again_in).unwrap_or(TimeDelta::minutes(5));
    let give_up_before = now - cx.alerting.settings.give_up_after;
    let told = error.to_string();
    let given_up = cx.store.not_delivered(delivery, &failure, &told, next_at, give_up_before, now).await?;
    if given_up > 0 {
        tracing::error!(channel = delivery.channel, notifications = given_up, %error, "notifications given up");
    }
    let is_first_partly = matches!(failure, Failure::Partly(_)) && delivery.recipients.is_none();
    if is_first_partly {
        channel_works(cx, &delivery.channel, now).await?;
    }
    if let SendError::Partly { refused: Some(refused), .. } = &error {
        recipients_refused(cx, &delivery.channel, Some(refused.clone()), now).await?;
    }
    let is_of_some = is_first_partly || delivery.recipients.is_some();
    if is_of_some && given_up > 0 {
        recipients_refused(cx, &delivery.channel, Some(told), now).await?;
    } else if given_up == 0 && matches!(error, SendError::NoSuchChannel(_)) {
        tracing::warn!(
            channel = delivery.channel,
            "notifications wait for a channel that is not configured here"
        );
        return Ok(Outcome::Waits);
    } else if !is_of_some && (given_up > 0 || delivery.state.failures + 1 >= FAILURES) {
        channel_fails(cx, delivery, &error, now).await?;
    }
    if failure == Failure::Permanent || given_up > 0 {
        Ok(Outcome::GivenUp)
    } else {
        Ok(Outcome::Failed { error, again_in })
    }
}

/// What an error means for the message, and when it is tried again.
fn judge(delivery: &Delivery, error: &SendError) -> (Failure, Duration) {
    let asked = match error {
        SendError::Permanent { .. } => return (Failure::Permanent, Duration::ZERO),
        SendError::Partly { recipients, .. } => {
            return (Failure::Partly(recipients.clone()), mailbox_pause(delivery));
        }
        SendError::NotReceived { retry_after, .. } => *retry_after,
        SendError::NoSuchChannel(_) => Some(UNKNOWN_CHANNEL),
        SendError::Unknown { .. } => None,
    };
    if let Some(recipients) = &delivery.recipients {
        return (Failure::Partly(recipients.clone()), mailbox_pause(delivery));
    }
    // An attempt before this one may have arrived: only the same id lets the receiver tell.
    let may_have_arrived = delivery.attempts > 1 || matches!(error, SendError::Unknown { .. });
    let failure = if may_have_arrived { Failure::Unknown } else { Failure::NotReceived };
    (failure, pause(delivery, asked))
}

/// Sends it, and keeps the claim meanwhile.
async fn send(cx: &Services, delivery: &Delivery, message: &Message) -> Result<Receipt, SendError> {
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

fn mailbox_pause(delivery: &Delivery) -> Duration {
    MAILBOX_BACK_OFF.pause.after(delivery.attempts) + secs(1)
}

fn finding(alert_type: &str, title: String, channel: &str) -> Finding {
    let labels: Labels =
        [("channel", channel)].map(|(label, value)| (label.to_owned(), value.to_owned())).into();
    Finding {
        fingerprint: format!("{alert_type}:{channel}"),
        alert_type: alert_type.to_owned(),
        severity: Some(Severity::High),
        title,
        labels,
        ..Finding::default()
    }
}

fn channel_finding(channel: &str) -> Finding {
    finding(CHANNEL_FAILED, format!("channel {channel} does not take alerts"), channel)
}

/// An alert on the other channels; it waits on this one too, and is told there when it is over.
async fn channel_fails(
    cx: &Services,
    delivery: &Delivery,
    error: &SendError,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let failed = Finding { description: error.to_string(), ..channel_finding(&delivery.channel) };
    cx.alerting.create_or_update(&cx.store, failed, false, now).await.map(drop)
}

async fn channel_works(cx: &Services, channel: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    cx.alerting.create_or_update(&cx.store, channel_finding(channel), true, now).await.map(drop)
}

/// Somebody who should hear of alerts does not: an alert, which the others hear of; over, when everybody is taken again.
async fn recipients_refused(
    cx: &Services,
    channel: &str,
    refused: Option<String>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let is_over = refused.is_none();
    let title = format!("channel {channel} does not reach all its recipients");
    let finding =
        Finding { description: refused.unwrap_or_default(), ..finding(RECIPIENT_REFUSED, title, channel) };
    cx.alerting.create_or_update(&cx.store, finding, is_over, now).await.map(drop)
}

#[cfg(test)]
mod tests;
