//! A delivery in the words of the channels: what happened to each alert, the worst first, and how the figure was around it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use dogwatch_alerting::{Condition, Dimension, Reading, Rule, Scope, Severity, Source};
use dogwatch_chart::{LineChart, Point};
use dogwatch_notify::{Chart, Event, MAX_NAMED, Message};
use dogwatch_queue::{error_chain, secs};
use dogwatch_runtime::text::{visible, visible_line};
use dogwatch_store::{Alert, AlertEvent, Delivery, HealthState, StoreError, Told};
use uuid::Uuid;

use crate::measure::{MeasureError, measure};
use crate::put_together::origin;
use crate::services::Services;

/// What is told so much later than it happened is late.
const LATE: TimeDelta = TimeDelta::minutes(5);
/// How much of the figure a picture shows, and in how many steps.
const PICTURE: TimeDelta = TimeDelta::minutes(60);
const STEPS: i32 = 30;
/// How long the picture may take: the message is claimed meanwhile.
const PICTURE_LIMIT: Duration = secs(5);

/// The message that a delivery is.
pub(crate) async fn message(cx: &Services, delivery: &Delivery) -> Message {
    let mut message = words(delivery);
    if let Err(error) = name_dependents(cx, &mut message).await {
        tracing::warn!(error = error_chain(&error), "a message does not say what fails with a service");
    }
    // Without a picture a message is still a message.
    message.chart = match tokio::time::timeout(PICTURE_LIMIT, chart(cx, delivery)).await {
        Ok(Ok(chart)) => chart,
        Ok(Err(error)) => {
            tracing::warn!(error = error_chain(&error), "a message goes without its picture");
            None
        }
        Err(_) => {
            tracing::warn!("a message goes without its picture, which took too long");
            None
        }
    };
    message
}

/// Says of a service that fails which of those that need it fail too: of them nobody is told otherwise.
async fn name_dependents(cx: &Services, message: &mut Message) -> Result<(), StoreError> {
    let need = |service: &String| {
        let needing = cx.targets.iter().filter(|target| target.needs.contains(service));
        needing.map(|target| target.name.clone()).collect::<Vec<_>>()
    };
    for told in message
        .alerts
        .iter_mut()
        .filter(|told| told.alert_type == "service_health" && told.event != Event::Resolved)
    {
        let needing = told.service.as_ref().map(need).unwrap_or_default();
        if needing.is_empty() {
            continue;
        }
        let health = cx.store.service_health().await?.into_iter();
        let failing = health
            .filter(|health| health.state == HealthState::Unhealthy && needing.contains(&health.service));
        let failing: Vec<String> = failing.map(|health| health.service).collect();
        if !failing.is_empty() {
            told.description = format!("{}. With it: {}", told.description, failing.join(", "));
        }
    }
    Ok(())
}

fn words(delivery: &Delivery) -> Message {
    let mut last: BTreeMap<Uuid, &Told> = BTreeMap::new();
    // Of each life its end is the last, whatever the clocks of those who wrote it said.
    let place = |told: &Told| (told.alert.reopened, told.event == AlertEvent::Resolved, told.at);
    for told in &delivery.told {
        let known = last.entry(told.alert.id).or_insert(told);
        if place(told) >= place(known) {
            *known = told;
        }
    }
    let alerts = worst_first(last.into_values().collect());
    let mut alerts: Vec<_> = alerts.into_iter().map(told).collect();
    let total = alerts.len();
    let over = alerts.iter().filter(|told| told.event == Event::Resolved).count();
    let severity = alerts.iter().map(|told| told.severity).max().unwrap_or(Severity::Low);
    alerts.truncate(MAX_NAMED);
    let is_over = over == total && delivery.open_in_group == 0;
    Message {
        id: delivery.id,
        at: delivery.created_at,
        group: delivery.group.clone(),
        title: Message::headline(&alerts, total - over, over),
        status: if is_over { "resolved" } else { "raised" },
        total,
        open: total - over,
        over,
        severity,
        omitted: total - alerts.len(),
        alerts,
        late: late(delivery),
        thread: delivery.thread.clone(),
        has_beginnings: delivery.told.iter().any(|told| told.event != AlertEvent::Resolved),
        recipients: delivery.recipients.clone(),
        chart: None,
    }
}

/// The worst first. Of those that are as bad, each origin has one named before any has two: of a flood the first few say
/// enough.
fn worst_first(mut alerts: Vec<&Told>) -> Vec<&Told> {
    alerts.sort_by_key(|told| told.at);
    let rank = |told: &Told| (told.event == AlertEvent::Resolved, std::cmp::Reverse(told.alert.severity));
    let mut seen: HashMap<_, u32> = HashMap::new();
    let mut ranked: Vec<_> = alerts
        .into_iter()
        .map(|told| {
            let count = seen.entry((rank(told), origin(&told.alert))).or_default();
            *count += 1;
            ((rank(told), *count), told)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, told)| told).collect()
}

/// Why it comes late, where it does.
fn late(delivery: &Delivery) -> Option<String> {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC");
    if let Some(since) = delivery.state.failing_since {
        let why = delivery.state.last_error.as_deref().unwrap_or("no answer");
        return Some(format!("Delivered late: since {} this channel took nothing ({why}).", time(since)));
    }
    let oldest = delivery.told.iter().map(|told| told.at).min()?;
    let is_late = delivery.created_at - oldest > LATE;
    is_late.then(|| format!("Delivered late: held back since {}.", time(oldest)))
}

/// A text of others, in one line: whatever a channel is, none of it is more than text there.
fn line(text: &str) -> String {
    visible_line(text).into_owned()
}

fn told(told: &Told) -> dogwatch_notify::Told {
    let Alert { ref tenant, ref service, ref endpoint, ref host, ref labels, .. } = told.alert;
    dogwatch_notify::Told {
        event: match told.event {
            AlertEvent::Raised | AlertEvent::Pending | AlertEvent::Acknowledged => Event::Raised,
            AlertEvent::Reopened => Event::Reopened,
            AlertEvent::Flapping => Event::Flapping,
            AlertEvent::Reminded => Event::Reminded,
            AlertEvent::Escalated => Event::Escalated,
            AlertEvent::Resolved => Event::Resolved,
        },
        at: told.at,
        raised_at: told.alert.raised_at,
        alert_id: told.alert.id,
        fingerprint: line(&told.alert.fingerprint),
        alert_type: line(&told.alert.alert_type),
        severity: told.alert.severity,
        title: line(&told.alert.title),
        description: visible(&told.alert.description).into_owned(),
        tenant: tenant.as_deref().map(line),
        service: service.as_deref().map(line),
        endpoint: endpoint.as_deref().map(line),
        host: host.as_deref().map(line),
        labels: labels.iter().map(|(label, value)| (line(label), line(value))).collect(),
        value: told.alert.value,
        threshold: told.alert.threshold,
        unit: told.alert.unit.clone(),
        first_seen_at: told.alert.first_seen_at,
    }
}

/// The figure of the first alert, around the event; absent where it is no figure that is kept, or a digest.
async fn chart(cx: &Services, delivery: &Delivery) -> Result<Option<Chart>, StoreError> {
    let Some(told) = delivery.told.first().filter(|_| !delivery.is_digest) else { return Ok(None) };
    let rule = cx.alerting.rules.iter().find(|rule| rule.name == told.alert.alert_type);
    let Some(rule) = rule.filter(|rule| is_kept(rule)) else { return Ok(None) };
    let scope = scope(rule, &told.alert);
    let last = delivery.told.last().map_or(told.at, |told| told.at);
    let end = (last + TimeDelta::minutes(2)).min(cx.clock.now());
    let points = match history(cx, rule, &scope, end - PICTURE, end, STEPS).await {
        Ok(points) => points,
        Err(MeasureError::Store(error)) => return Err(error),
        Err(MeasureError::Queue(_)) => return Ok(None),
    };
    let line = LineChart {
        before: Vec::new(),
        threshold: rule.threshold(),
        unit: rule.unit().to_owned(),
        width: 560,
        height: 140,
        points,
    };
    let time = |at: DateTime<Utc>| at.format("%H:%M");
    let most = line.most().map(|most| format!(", at most {most:.1} {}", rule.unit())).unwrap_or_default();
    let caption = format!("{}, {} to {} UTC{most}", rule.metric().words(), time(end - PICTURE), time(end));
    Ok(line.most().is_some().then_some(Chart { caption, line }))
}

/// Whether what a rule is about can be drawn over time.
fn is_kept(rule: &Rule) -> bool {
    has_history(rule) && !matches!(rule.condition, Condition::BurnRate(_) | Condition::Absence { .. })
}

/// Whether what a rule is about can be read for times that are over.
pub fn has_history(rule: &Rule) -> bool {
    matches!(rule.metric().source(), Source::Requests | Source::Queries | Source::Hosts | Source::Disks)
}

fn scope(rule: &Rule, alert: &Alert) -> Scope {
    let part = |dimension: &Dimension| Some((*dimension, alert.labels.get(dimension.as_str())?.clone()));
    Scope::of(rule.by.iter().filter_map(part))
}

/// A figure over time: of each step what it was over that step.
pub(crate) async fn history(
    cx: &Services,
    rule: &Rule,
    scope: &Scope,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    steps: i32,
) -> Result<Vec<Point>, MeasureError> {
    let minute = TimeDelta::minutes(1);
    let step = ((until - since) / steps).max(minute);
    // At whole minutes everything is read from rollups.
    let mut at = since.duration_trunc(minute).unwrap_or(since) + step;
    let narrow = Rule { only: scope.clone(), window: step, ..rule.clone() };
    let mut points = Vec::new();
    while at <= until {
        let readings = measure(&cx.store, &cx.inspector, &narrow, at).await?;
        let of_scope = |reading: &&Reading| reading.scope == *scope;
        points.push(Point { at, value: readings.iter().find(of_scope).and_then(|reading| reading.value) });
        at += step;
    }
    Ok(points)
}

/// A message that tries a channel.
pub fn test_message(now: DateTime<Utc>) -> Message {
    let alert = dogwatch_notify::Told {
        event: Event::Raised,
        at: now,
        raised_at: Some(now),
        alert_id: Uuid::now_v7(),
        fingerprint: "test".to_owned(),
        alert_type: "test".to_owned(),
        severity: Severity::Low,
        title: "A test of this channel".to_owned(),
        description: "Somebody has run `dogwatch channels test`. Nothing is wrong.".to_owned(),
        tenant: None,
        service: None,
        endpoint: None,
        host: None,
        labels: BTreeMap::new(),
        value: None,
        threshold: None,
        unit: None,
        first_seen_at: now,
    };
    Message {
        id: Uuid::now_v7(),
        at: now,
        group: "test".to_owned(),
        title: alert.title.clone(),
        status: "resolved",
        total: 1,
        open: 1,
        over: 0,
        severity: Severity::Low,
        alerts: vec![alert],
        omitted: 0,
        late: None,
        thread: None,
        has_beginnings: true,
        recipients: None,
        chart: None,
    }
}
