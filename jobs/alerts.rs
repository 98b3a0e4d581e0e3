//! What happens to alerts, whoever makes it happen: a rule, another service, a person. The next state comes from
//! `dogwatch-alerting`; it is stored together with its history and with what has to be told, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{
    Change, Dimension, InhibitSettings, Labels, Life, MaintenanceSettings, Matcher, Mutes, Outcome, Policy,
    QuietHoursSettings, Reading, Route, Routing, Rule, Settings, Severity, Status, step,
};
use dogwatch_store::{Alert, AlertEvent, NewEvent, NewNotification, Store, StoreError};
use uuid::Uuid;

use crate::settings::Thresholds;

/// Where an alert comes from, among its labels.
pub(crate) const SOURCE: &str = "source";
const OF_RULE: &str = "rule";
/// Labels that set an alert apart from others.
const SETS_APART: [&str; 7] = ["alert_type", "service", "endpoint", "tenant", "host", "mount", "queue"];
/// The alert about a rule that cannot be evaluated.
const RULE_FAILED: &str = "rule_failed";
/// How long a rule has to fail before that is an alert.
const RULE_FAILED_FOR: TimeDelta = TimeDelta::minutes(1);

/// What alerts go by: rules, routes, mutes.
#[derive(Clone, Debug)]
pub struct Alerting {
    /// How patient alerts are.
    pub settings: Settings,
    /// What is looked at, as the file has it.
    pub rules: Vec<Rule>,
    /// Those of them that are always there, and go by the thresholds.
    pub built_in: BTreeSet<String>,
    /// Who hears of it.
    pub routing: Routing,
    /// Who does not, by the settings.
    pub maintenance: Vec<MaintenanceSettings>,
    /// The same.
    pub quiet_hours: Vec<QuietHoursSettings>,
    /// The same.
    pub inhibitions: Vec<InhibitSettings>,
}

/// Something that is wrong, or well, as somebody has found it.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Which condition: the same one has the same fingerprint, whoever finds it.
    pub fingerprint: String,
    /// Kind of condition.
    pub alert_type: String,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// One line.
    pub title: String,
    /// What was seen, with figures.
    pub description: String,
    /// What is known of it; `service`, `endpoint`, `tenant` and `host` among them.
    pub labels: Labels,
    /// What was measured.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The unit of both.
    pub unit: Option<String>,
}

/// Why an order of a person cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such alert.
    #[error("there is no alert `{0}`")]
    Unknown(Uuid),
    /// It is over.
    #[error("alert `{0}` is resolved")]
    Resolved(Uuid),
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Finding {
    fn of_rule(rule: &Rule, reading: &Reading) -> Self {
        let mut labels = rule.labels(&reading.scope);
        labels.insert(SOURCE.to_owned(), OF_RULE.to_owned());
        Self {
            fingerprint: rule.fingerprint(&reading.scope),
            alert_type: rule.name.clone(),
            severity: Some(rule.severity),
            title: rule.title(reading),
            description: rule.description(reading),
            labels,
            value: reading.value,
            threshold: rule.threshold(),
            unit: Some(rule.unit().to_owned()).filter(|unit| !unit.is_empty()),
        }
    }

    fn label(&self, name: &str) -> Option<String> {
        self.labels.get(name).cloned()
    }

    fn into_alert(self, now: DateTime<Utc>) -> Alert {
        Alert {
            id: Uuid::now_v7(),
            tenant: self.label(Dimension::Tenant.as_str()),
            service: self.label(Dimension::Service.as_str()),
            endpoint: self.label(Dimension::Endpoint.as_str()),
            host: self.label(Dimension::Host.as_str()),
            fingerprint: self.fingerprint,
            alert_type: self.alert_type,
            severity: self.severity.unwrap_or(Severity::Medium),
            title: self.title,
            description: self.description,
            labels: self.labels,
            value: self.value,
            threshold: self.threshold,
            unit: self.unit,
            status: Status::Pending,
            occurrences: 0,
            first_seen_at: now,
            last_seen_at: now,
            raised_at: None,
            reopened: 0,
            is_flapping: false,
            acknowledged_at: None,
            acknowledged_by: None,
            note: None,
            resolved_at: None,
            pending_since: None,
            calm_since: None,
            changes: Vec::new(),
        }
    }
}

impl Alerting {
    /// The rules, with those that are always there going by these thresholds, and over so many minutes where that is given.
    pub fn rules_by(&self, thresholds: &Thresholds, window_minutes: Option<u32>) -> Vec<Rule> {
        let now = thresholds.rules(window_minutes.unwrap_or(thresholds.window_minutes));
        let current = |rule: &Rule| {
            let built_in = now.iter().find(|built_in| built_in.name == rule.name);
            built_in.filter(|_| self.built_in.contains(&rule.name)).unwrap_or(rule).clone()
        };
        self.rules.iter().map(current).collect()
    }

    /// What a rule's reading comes to, and what becomes of its alert; `is_open` as the caller knows it, so that nothing is
    /// asked about what is well and was.
    pub async fn observe(
        &self,
        store: &Store,
        rule: &Rule,
        reading: &Reading,
        is_open: bool,
        now: DateTime<Utc>,
    ) -> Result<(Outcome, Change), StoreError> {
        let outcome = rule.judge(reading, is_open);
        if !is_open && outcome != Outcome::Breach {
            return Ok((outcome, Change::None));
        }
        let finding = Finding::of_rule(rule, reading);
        let judge = |is_open| rule.judge(reading, is_open);
        let change = self.apply(store, finding, judge, &self.settings.policy(rule), now).await?;
        Ok((outcome, change))
    }

    /// A rule could, or could not, be evaluated.
    pub async fn observe_rule(
        &self,
        store: &Store,
        rule: &Rule,
        error: Option<&str>,
        is_open: bool,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let outcome = if error.is_some() { Outcome::Breach } else { Outcome::Ok };
        if !is_open && error.is_none() {
            return Ok(Change::None);
        }
        let finding = Finding {
            fingerprint: format!("{RULE_FAILED}:{}", rule.name),
            alert_type: RULE_FAILED.to_owned(),
            severity: Some(Severity::Medium),
            title: format!("rule {} cannot be evaluated", rule.name),
            description: error.unwrap_or("it can be evaluated again").to_owned(),
            labels: labels([("alert_type", RULE_FAILED), ("severity", "medium"), ("rule", &rule.name)]),
            ..Finding::default()
        };
        let policy = Policy { hold: RULE_FAILED_FOR, ..self.settings.at_once() };
        self.apply(store, finding, |_| outcome, &policy, now).await
    }

    /// What another service, or Dogwatch about itself, has found: raises an alert or counts one more occurrence of the open
    /// one; or resolves it.
    pub async fn create_or_update(
        &self,
        store: &Store,
        mut finding: Finding,
        is_over: bool,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let severity = finding.severity.unwrap_or(Severity::Medium);
        finding.labels.insert("alert_type".to_owned(), finding.alert_type.clone());
        finding.labels.insert("severity".to_owned(), severity.as_str().to_owned());
        let outcome = if is_over { Outcome::Ok } else { Outcome::Breach };
        self.apply(store, finding, |_| outcome, &self.settings.at_once(), now).await
    }

    async fn apply(
        &self,
        store: &Store,
        finding: Finding,
        judge: impl Fn(bool) -> Outcome,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let mut turn = store.alert_turn(&finding.fingerprint).await?;
        let before = turn.alert().filter(|alert| policy.continues(&alert.life(), now)).cloned();
        let life = before.as_ref().map(Alert::life);
        let outcome = judge(life.as_ref().is_some_and(Life::is_open));
        let (life, change) = step(life.as_ref(), outcome, now, policy);
        let Some(life) = life else {
            if change == Change::Forgotten {
                turn.forget().await?;
            }
            return Ok(change);
        };
        let mut alert = before.clone().unwrap_or_else(|| finding.clone().into_alert(now));
        if outcome == Outcome::Breach {
            see_again(&mut alert, finding, now);
        }
        if matches!(change, Change::Reopened | Change::Flapping) {
            (alert.acknowledged_at, alert.acknowledged_by, alert.note) = (None, None, None);
        }
        alert.set_life(life);
        if before.as_ref() == Some(&alert) {
            return Ok(change);
        }
        let event = event_of(change);
        let told = match event {
            Some(AlertEvent::Resolved) => self.told_of_end(&alert, turn.told_on(&alert).await?),
            Some(event @ (AlertEvent::Raised | AlertEvent::Reopened | AlertEvent::Flapping)) => {
                self.told(&alert, event)
            }
            // It is worse than it was: a channel that hears of worse alerts only wants to know now. None is told twice.
            _ if alert.status == Status::Active
                && before.is_some_and(|before| before.severity < alert.severity) =>
            {
                self.told(&alert, beginning(&alert))
            }
            _ => Vec::new(),
        };
        turn.save(&alert, event.map(NewEvent::from), &told, now).await?;
        Ok(change)
    }

    /// Someone has seen it.
    ///
    /// # Errors
    /// When there is no such alert, or it is resolved.
    pub async fn acknowledge(
        &self,
        store: &Store,
        id: Uuid,
        by: &str,
        note: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Alert, OrderError> {
        self.order(store, id, AlertEvent::Acknowledged, by, note, now).await
    }

    /// Someone says that it is over. Should its condition still hold, it is opened again at the next look.
    ///
    /// # Errors
    /// When there is no such alert, or it is resolved.
    pub async fn resolve(
        &self,
        store: &Store,
        id: Uuid,
        by: &str,
        note: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Alert, OrderError> {
        self.order(store, id, AlertEvent::Resolved, by, note, now).await
    }

    async fn order(
        &self,
        store: &Store,
        id: Uuid,
        event: AlertEvent,
        by: &str,
        note: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Alert, OrderError> {
        let fingerprint = store.alert(id).await?.ok_or(OrderError::Unknown(id))?.fingerprint;
        let mut turn = store.alert_turn(&fingerprint).await?;
        let Some(mut alert) = turn.alert().filter(|alert| alert.id == id && alert.life().is_open()).cloned()
        else {
            return Err(OrderError::Resolved(id));
        };
        alert.note = note.map(str::to_owned).or(alert.note);
        let mut told = Vec::new();
        if event == AlertEvent::Acknowledged {
            (alert.status, alert.acknowledged_at, alert.acknowledged_by) =
                (Status::Acknowledged, Some(now), Some(by.to_owned()));
        } else {
            (alert.status, alert.resolved_at, alert.calm_since, alert.pending_since, alert.is_flapping) =
                (Status::Resolved, Some(now), None, None, false);
            told = self.told_of_end(&alert, turn.told_on(&alert).await?);
        }
        let event = NewEvent { event, actor: Some(by.to_owned()), note: note.map(str::to_owned) };
        turn.save(&alert, Some(event), &told, now).await?;
        Ok(alert)
    }

    /// Reminds of what is still active, and tells others of what nobody has acknowledged; says how much that was.
    pub async fn remind(&self, store: &Store, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut noted = 0;
        let mut due: Vec<(Alert, Vec<NewNotification>)> = Vec::new();
        for alert in store.open_alerts().await? {
            let told = self.due(&alert, now);
            if !told.is_empty() {
                due.push((alert, told));
            }
        }
        let ids: Vec<Uuid> = due.iter().map(|(alert, _)| alert.id).collect();
        let reminders = store.last_reminders(&ids).await?;
        for (alert, mut told) in due {
            told.retain(|one| {
                let last = reminders.get(&(alert.id, one.event, one.channel.clone()));
                // While one waits to be told, another would tell nothing more.
                last.is_none_or(|last| last.sequence < one.sequence && !last.is_waiting)
            });
            if told.is_empty() {
                continue;
            }
            // By now it may be over, acknowledged, or open anew.
            let turn = store.alert_turn(&alert.fingerprint).await?;
            let is_as_it_was = |now: &&Alert| {
                now.id == alert.id && now.status == Status::Active && now.reopened == alert.reopened
            };
            if let Some(alert) = turn.alert().filter(is_as_it_was).cloned() {
                noted += turn.remind(&alert, &told, now).await?;
            }
        }
        Ok(noted)
    }

    /// What is to be told of an alert because time has passed; also what was told already.
    fn due(&self, alert: &Alert, now: DateTime<Utc>) -> Vec<NewNotification> {
        let Some(raised_at) = alert.raised_at.filter(|_| alert.status == Status::Active) else {
            return Vec::new();
        };
        let open_for = now - raised_at;
        let mut told = Vec::new();
        for route in self.routing.routes(&alert.labels, alert.severity) {
            if let Some(times) = route.repeat.and_then(|repeat| times(open_for, repeat)) {
                // Reminders of one return are not those of another.
                let sequence = alert.reopened.saturating_mul(10_000).saturating_add(times);
                told.push(NewNotification { sequence, ..notification(AlertEvent::Reminded, alert, route) });
            }
        }
        for (after, route) in self.routing.escalations(&alert.labels, alert.severity) {
            if open_for >= after {
                told.push(notification(AlertEvent::Escalated, alert, route));
            }
        }
        told
    }

    /// Ends alerts of rules, and of services, that are no longer there; says how many.
    pub async fn end_orphans(
        &self,
        store: &Store,
        open: &[Alert],
        services: &[String],
        now: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let is_orphan = |alert: &&Alert| {
            let rule = self.rules.iter().find(|rule| rule.name == alert.alert_type);
            let is_gone = |service: &String| !services.contains(service);
            alert.labels.get(SOURCE).is_some_and(|source| source == OF_RULE)
                && rule.is_none_or(|rule| {
                    rule.metric() == dogwatch_alerting::Metric::ServiceHealth
                        && alert.service.as_ref().is_some_and(is_gone)
                })
        };
        let mut ended = 0;
        for alert in open.iter().filter(is_orphan) {
            match self.resolve(store, alert.id, "dogwatch", Some("it is no longer configured"), now).await {
                Ok(_) => ended += 1,
                Err(OrderError::Store(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(ended)
    }

    /// Everything that mutes now.
    pub async fn mutes(&self, store: &Store, now: DateTime<Utc>) -> Result<Mutes, StoreError> {
        let open = store.open_alerts().await?.into_iter();
        let raised = open.filter(|alert| alert.status != Status::Pending);
        Ok(Mutes {
            silences: store.silences(now).await?.into_iter().map(Into::into).collect(),
            maintenance: self.maintenance.clone(),
            quiet_hours: self.quiet_hours.clone(),
            inhibitions: self.inhibitions.clone(),
            open: raised.map(|alert| alert.labels).collect(),
        })
    }

    fn told(&self, alert: &Alert, event: AlertEvent) -> Vec<NewNotification> {
        let routes = self.routing.routes(&alert.labels, alert.severity);
        routes.into_iter().map(|route| notification(event, alert, route)).collect()
    }

    /// The end is told where the alert was told, unless a route does not want to know.
    fn told_of_end(&self, alert: &Alert, told_on: Vec<(String, String)>) -> Vec<NewNotification> {
        let routes: BTreeMap<String, Route> = self
            .routing
            .routes(&alert.labels, alert.severity)
            .into_iter()
            .map(|route| (route.channel.clone(), route))
            .collect();
        told_on
            .into_iter()
            .filter(|(channel, _)| routes.get(channel).is_none_or(|route| route.resolved))
            .map(|(channel, group)| NewNotification {
                wait: routes.get(&channel).map_or(TimeDelta::zero(), |route| route.wait),
                group_interval: routes.get(&channel).map_or(TimeDelta::zero(), |route| route.interval),
                channel,
                event: AlertEvent::Resolved,
                sequence: alert.reopened,
                group,
            })
            .collect()
    }
}

/// What matches an alert, and others of its type and scope.
pub fn its_like(alert: &Alert) -> Matcher {
    let apart = SETS_APART.iter();
    Matcher::of(apart.filter_map(|label| Some(((*label).to_owned(), alert.labels.get(*label)?.clone()))))
}

fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    pairs.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

/// One more occurrence, as it is now.
fn see_again(alert: &mut Alert, finding: Finding, now: DateTime<Utc>) {
    alert.occurrences += 1;
    alert.last_seen_at = alert.last_seen_at.max(now);
    alert.severity = finding.severity.unwrap_or(alert.severity);
    alert.title = finding.title;
    alert.description = finding.description;
    alert.labels = finding.labels;
    alert.value = finding.value;
    alert.threshold = finding.threshold;
    alert.unit = finding.unit;
}

fn event_of(change: Change) -> Option<AlertEvent> {
    match change {
        Change::None | Change::Forgotten => None,
        Change::Pending => Some(AlertEvent::Pending),
        Change::Raised => Some(AlertEvent::Raised),
        Change::Reopened => Some(AlertEvent::Reopened),
        Change::Flapping => Some(AlertEvent::Flapping),
        Change::Resolved => Some(AlertEvent::Resolved),
    }
}

/// What was told, or would have been, when it was raised last.
fn beginning(alert: &Alert) -> AlertEvent {
    match (alert.is_flapping, alert.reopened) {
        (true, _) => AlertEvent::Flapping,
        (false, 0) => AlertEvent::Raised,
        (false, _) => AlertEvent::Reopened,
    }
}

fn notification(event: AlertEvent, alert: &Alert, route: Route) -> NewNotification {
    NewNotification {
        channel: route.channel,
        event,
        sequence: alert.reopened,
        group: route.group,
        wait: route.wait,
        group_interval: route.interval,
    }
}

/// How often a time fits into another; `None` when not at all.
fn times(length: TimeDelta, part: TimeDelta) -> Option<i32> {
    let times = length.num_milliseconds().checked_div(part.num_milliseconds())?;
    i32::try_from(times).ok().filter(|times| *times > 0)
}
