//! What happens to alerts, whoever makes it happen: a rule, another service, a person. The next state comes from
//! `dogwatch-alerting`; it is stored together with its history and with what has to be told, in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{
    CANARY, Change, Dimension, InhibitSettings, Labels, Life, MaintenanceSettings, Matcher, Mutes, Outcome,
    Policy, QuietHoursSettings, Reading, Route, Routing, Rule, Settings, Severity, Status, step,
};
use dogwatch_runtime::duration;
use dogwatch_store::{
    Alert, AlertEvent, AlertTurn, NewEvent, NewNotification, SeriesLimit, Store, StoreError,
};
use uuid::Uuid;

use crate::settings::Thresholds;

/// Where an alert comes from, among its labels.
pub(crate) const SOURCE: &str = "source";
const OF_RULE: &str = "rule";
/// Labels that set an alert apart from others.
const SETS_APART: [&str; 7] = ["alert_type", "service", "endpoint", "tenant", "host", "mount", "queue"];
/// The alert about a rule that cannot be evaluated.
const RULE_FAILED: &str = "rule_failed";
/// The alert about a channel that does not take what is sent.
pub(crate) const CHANNEL_FAILED: &str = "channel_failed";
/// The alert about recipients who do not get what others get.
pub(crate) const RECIPIENT_REFUSED: &str = "recipient_refused";
/// The alert that says that a service is healthy again.
pub(crate) const SERVICE_RECOVERED: &str = "service_recovered";
/// The alert about a schedule whose job does not succeed.
pub const SCHEDULE_OVERDUE: &str = "schedule_overdue";
/// The alert about an API key that has as many open alerts as it may have.
const ALERT_LIMIT: &str = "alert_limit";
/// The alert about a sender that has as many series as it may have.
const SERIES_LIMIT: &str = "series_limit";
/// How long after a name was counted as `(other)` last that is an alert.
const SERIES_LIMIT_FOR: TimeDelta = TimeDelta::minutes(15);
/// Kinds of alerts that Dogwatch raises about itself, beside those of rules.
const OWN_TYPES: [&str; 8] = [
    CANARY,
    RULE_FAILED,
    CHANNEL_FAILED,
    RECIPIENT_REFUSED,
    SERVICE_RECOVERED,
    SCHEDULE_OVERDUE,
    ALERT_LIMIT,
    SERIES_LIMIT,
];
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
    /// The API key that reports it, by its name; absent where Dogwatch has found it.
    pub reported_by: Option<String>,
}

/// Why a report of alerts is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The key would have more open alerts than it may have.
    #[error(
        "`{key}` has {open} open alerts and may have {most}; resolve some, or raise [alerts] max_open_per_key \
         (nothing of this request was stored)"
    )]
    TooMany {
        /// Its name.
        key: String,
        /// How many it has.
        open: i64,
        /// How many it may have.
        most: i64,
    },
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
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
            reported_by: None,
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
            reported_by: self.reported_by,
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
        let mut turn = store.alert_turn().await?;
        let (_, change) = self.apply(&mut turn, finding, judge, &self.settings.policy(rule), now).await?;
        turn.commit().await?;
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
        let mut turn = store.alert_turn().await?;
        let (_, change) = self.apply(&mut turn, finding, |_| outcome, &policy, now).await?;
        turn.commit().await?;
        Ok(change)
    }

    /// Whether alerts of this kind are raised by Dogwatch alone.
    pub fn is_reserved(&self, alert_type: &str) -> bool {
        OWN_TYPES.contains(&alert_type)
            || self.built_in.contains(alert_type)
            || self.rules.iter().any(|rule| rule.name == alert_type)
    }

    /// What a key of the API reports: all of it is stored, or nothing. Returns the alert of each finding.
    ///
    /// # Errors
    /// When the key would have more open alerts than it may have, or Postgres does not answer.
    pub async fn report(
        &self,
        store: &Store,
        findings: Vec<(Finding, bool)>,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<Alert>>, ReportError> {
        let most = self.settings.max_open_per_key;
        let mut turn = store.alert_turn().await?;
        let mut open = turn.open_reported_by(key).await?;
        let mut ends: i64 = findings.iter().map(|(_, is_over)| i64::from(*is_over)).sum();
        let mut alerts: Vec<Option<Alert>> = findings.iter().map(|_| None).collect();
        let mut in_order: Vec<_> = findings.into_iter().enumerate().collect();
        in_order.sort_by(|(_, (a, _)), (_, (b, _))| a.fingerprint.cmp(&b.fingerprint));
        for (index, (mut finding, is_over)) in in_order {
            finding.reported_by = Some(key.to_owned());
            let (alert, change) = self.found(&mut turn, finding, is_over, now).await?;
            ends -= i64::from(is_over);
            match change {
                Change::Raised | Change::Reopened | Change::Flapping => open += 1,
                Change::Resolved => open -= 1,
                Change::None | Change::Pending | Change::Forgotten => {}
            }
            if open > most + ends {
                return Err(ReportError::TooMany { key: key.to_owned(), open, most });
            }
            alerts[index] = alert;
        }
        turn.commit().await?;
        Ok(alerts)
    }

    /// What Dogwatch has found about itself: raises an alert or counts one more occurrence of the open
    /// one; or resolves it.
    pub async fn create_or_update(
        &self,
        store: &Store,
        finding: Finding,
        is_over: bool,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let mut turn = store.alert_turn().await?;
        let (_, change) = self.found(&mut turn, finding, is_over, now).await?;
        turn.commit().await?;
        Ok(change)
    }

    async fn found(
        &self,
        turn: &mut AlertTurn,
        mut finding: Finding,
        is_over: bool,
        now: DateTime<Utc>,
    ) -> Result<(Option<Alert>, Change), StoreError> {
        let severity = finding.severity.unwrap_or(Severity::Medium);
        finding.labels.insert("alert_type".to_owned(), finding.alert_type.clone());
        finding.labels.insert("severity".to_owned(), severity.as_str().to_owned());
        let outcome = if is_over { Outcome::Ok } else { Outcome::Breach };
        self.apply(turn, finding, |_| outcome, &self.settings.at_once(), now).await
    }

    /// Makes the next step of an alert. Returns the alert as it is then, or, where nothing is open, as it was last.
    async fn apply(
        &self,
        turn: &mut AlertTurn,
        finding: Finding,
        judge: impl Fn(bool) -> Outcome,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<(Option<Alert>, Change), StoreError> {
        let last = turn.take(&finding.fingerprint).await?;
        let before = last.clone().filter(|alert| policy.continues(&alert.life(), now));
        let life = before.as_ref().map(Alert::life);
        let outcome = judge(life.as_ref().is_some_and(Life::is_open));
        let (life, change) = step(life.as_ref(), outcome, now, policy);
        let Some(life) = life else {
            if let Some(alert) = before.filter(|_| change == Change::Forgotten) {
                turn.forget(alert.id).await?;
            }
            return Ok((last, change));
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
            return Ok((before, change));
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
        Ok((Some(alert), change))
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
        let mut turn = store.alert_turn().await?;
        let taken = turn.take(&fingerprint).await?;
        let Some(mut alert) = taken.filter(|alert| alert.id == id && alert.life().is_open()) else {
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
        turn.commit().await?;
        Ok(alert)
    }

    /// Reminds of what is still active, and tells others of what nobody has acknowledged; says how much that was.
    pub async fn remind(&self, store: &Store, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut noted = 0;
        let mut open = store.open_alerts();
        loop {
            let page = open.next_page().await?;
            if page.is_empty() {
                return Ok(noted);
            }
            noted += self.remind_of(store, page, now).await?;
        }
    }

    async fn remind_of(
        &self,
        store: &Store,
        open: Vec<Alert>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let due = open.into_iter().map(|alert| (self.due(&alert, now), alert));
        let due: Vec<_> = due.filter(|(told, _)| !told.is_empty()).collect();
        let ids: Vec<Uuid> = due.iter().map(|(_, alert)| alert.id).collect();
        let reminders = store.last_reminders(&ids).await?;
        let mut noted = 0;
        for (mut told, alert) in due {
            told.retain(|one| {
                let last = reminders.get(&(alert.id, one.event, one.channel.clone()));
                // While one waits to be told, another would tell nothing more.
                last.is_none_or(|last| last.sequence < one.sequence && !last.is_waiting)
            });
            if told.is_empty() {
                continue;
            }
            // By now it may be over, acknowledged, or open anew.
            let mut turn = store.alert_turn().await?;
            let taken = turn.take(&alert.fingerprint).await?;
            let is_as_it_was = |now: &Alert| {
                now.id == alert.id && now.status == Status::Active && now.reopened == alert.reopened
            };
            if let Some(alert) = taken.filter(is_as_it_was) {
                noted += turn.remind(&alert, &told, now).await?;
                turn.commit().await?;
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

    /// Ends alerts of rules, and of services, that are no longer there, and alerts that no key has reported for long; says
    /// how many.
    pub async fn end_orphans(
        &self,
        store: &Store,
        services: &[String],
        now: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let is_orphan = |alert: &Alert| {
            let rule = self.rules.iter().find(|rule| rule.name == alert.alert_type);
            let is_gone = |service: &String| !services.contains(service);
            alert.reported_by.is_none()
                && alert.labels.get(SOURCE).is_some_and(|source| source == OF_RULE)
                && rule.is_none_or(|rule| {
                    rule.metric() == dogwatch_alerting::Metric::ServiceHealth
                        && alert.service.as_ref().is_some_and(is_gone)
                })
        };
        let mut ended = 0;
        let mut open = store.open_alerts();
        loop {
            let page = open.next_page().await?;
            if page.is_empty() {
                break;
            }
            for alert in page.iter().filter(|alert| is_orphan(alert)) {
                ended += self.end(store, alert.id, "it is no longer configured", now).await?;
            }
        }
        let expire_after = self.settings.expire_after;
        let note = format!("not reported again for {}", duration::format_rounded(expire_after));
        for id in store.alerts_not_reported_since(now - expire_after).await? {
            ended += self.end(store, id, &note, now).await?;
        }
        Ok(ended)
    }

    async fn end(
        &self,
        store: &Store,
        id: Uuid,
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        match self.resolve(store, id, "dogwatch", Some(note), now).await {
            Ok(_) => Ok(1),
            Err(OrderError::Store(error)) => Err(error),
            Err(_) => Ok(0),
        }
    }

    /// Raises an alert for each limit that a sender has reached, and ends those that are over. `open` are the fingerprints
    /// of open alerts.
    pub async fn observe_limits(
        &self,
        store: &Store,
        open: &HashSet<String>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let full = store.keys_with_open_alerts(self.settings.max_open_per_key).await?;
        let of_alerts = full.iter().map(|(key, count)| alerts_reached(key, *count));
        let reached = store.series_limits_reached(now - SERIES_LIMIT_FOR).await?;
        let reached: Vec<Finding> = of_alerts.chain(reached.iter().map(series_reached)).collect();
        let is_of_limit = |fingerprint: &&String| {
            let alert_type = fingerprint.split(':').next();
            alert_type.is_some_and(|alert_type| [ALERT_LIMIT, SERIES_LIMIT].contains(&alert_type))
        };
        let is_over =
            |fingerprint: &&String| reached.iter().all(|finding| finding.fingerprint != **fingerprint);
        for fingerprint in open.iter().filter(is_of_limit).filter(is_over) {
            let over = Finding { fingerprint: fingerprint.clone(), ..Finding::default() };
            self.create_or_update(store, over, true, now).await?;
        }
        for finding in reached {
            self.create_or_update(store, finding, false, now).await?;
        }
        Ok(())
    }

    /// Everything that mutes now.
    pub async fn mutes(&self, store: &Store, now: DateTime<Utc>) -> Result<Mutes, StoreError> {
        let mut mutes = Mutes::new(
            store.silences(now).await?.into_iter().map(Into::into).collect(),
            self.maintenance.clone(),
            self.quiet_hours.clone(),
            self.inhibitions.clone(),
        );
        let mut open = store.open_alerts();
        while !self.inhibitions.is_empty() {
            let page = open.next_page().await?;
            if page.is_empty() {
                break;
            }
            for alert in page.iter().filter(|alert| alert.status != Status::Pending) {
                mutes.note_open(&alert.labels);
            }
        }
        Ok(mutes)
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
    let apart = SETS_APART.iter().filter_map(|label| Some((*label, alert.labels.get(*label)?)));
    apart.fold(Matcher::default(), |matcher, (label, value)| matcher.and(label, value))
}

fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    pairs.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

fn alerts_reached(key: &str, count: i64) -> Finding {
    Finding {
        fingerprint: format!("{ALERT_LIMIT}:{key}"),
        alert_type: ALERT_LIMIT.to_owned(),
        severity: Some(Severity::Medium),
        title: format!("key {key} has as many open alerts as it may have: further ones are refused"),
        description: format!("{count} open alerts; resolve some, or raise [alerts] max_open_per_key"),
        labels: labels([("key", key)]),
        ..Finding::default()
    }
}

fn series_reached(limit: &SeriesLimit) -> Finding {
    let SeriesLimit { owner, service, subject } = limit;
    let (kind, name) = owner.split_once(':').unwrap_or(("key", owner));
    let who = if name.is_empty() { "who needs no key".to_owned() } else { format!("{kind} {name}") };
    let what = match subject.as_str() {
        "service" => "services".to_owned(),
        "query" => format!("queries in {service}"),
        _ => format!("endpoints in {service}"),
    };
    Finding {
        fingerprint: format!("{SERIES_LIMIT}:{subject}:{owner}:{service}"),
        alert_type: SERIES_LIMIT.to_owned(),
        severity: Some(Severity::Medium),
        title: format!("{who} has as many {what} as it may have: new ones are counted as (other)"),
        description:
            "names that hold ids or random parts are the usual cause; places of names that are not seen for \
                      7 days become free"
                .to_owned(),
        labels: labels(
            [("sender", owner.as_str()), ("service", service.as_str())]
                .into_iter()
                .filter(|(_, value)| !value.is_empty()),
        ),
        ..Finding::default()
    }
}

/// One more occurrence, as it is now.
fn see_again(alert: &mut Alert, finding: Finding, now: DateTime<Utc>) {
    alert.occurrences += 1;
    alert.last_seen_at = alert.last_seen_at.max(now);
    alert.severity = finding.severity.unwrap_or(alert.severity);
    alert.title = finding.title;
    alert.description = finding.description;
    alert.labels = finding.labels;
    alert.reported_by = finding.reported_by;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CheckPerformanceThresholds;
    use crate::tests_support::Bench;
    use dogwatch_queue::Job;

    fn finding(name: &str) -> Finding {
        Finding {
            fingerprint: format!("api:{name}"),
            alert_type: "reported".to_owned(),
            title: name.to_owned(),
            ..Finding::default()
        }
    }

    async fn report(bench: &Bench, key: &str, findings: &[(&str, bool)]) -> Result<usize, ReportError> {
        let findings = findings.iter().map(|(name, is_over)| (finding(name), *is_over)).collect();
        let reported = bench.cx.alerting.report(&bench.cx.store, findings, key, bench.clock.now()).await?;
        Ok(reported.into_iter().flatten().count())
    }

    #[tokio::test]
    async fn a_report_is_stored_whole_or_not_at_all_and_a_key_has_a_limit() {
        let bench = Bench::new("").await;
        assert_eq!(report(&bench, "shop", &[("a", false), ("b", false), ("a", false)]).await.unwrap(), 3);
        let open: Vec<_> =
            bench.open_alerts().await.into_iter().map(|alert| (alert.title, alert.occurrences)).collect();
        assert_eq!(open, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        // The limit here is five.
        let error =
            report(&bench, "shop", &["c", "d", "e", "f"].map(|name| (name, false))).await.unwrap_err();
        assert!(matches!(error, ReportError::TooMany { open: 6, most: 5, .. }), "{error}");
        assert_eq!(bench.open_alerts().await.len(), 2);
        // Another key has its own.
        report(&bench, "pay", &["c", "d", "e", "f"].map(|name| (name, false))).await.unwrap();
        // What ends makes room, wherever it stands.
        let exchange = ["1", "2", "3", "4"].map(|name| (name, false));
        report(&bench, "shop", &[&exchange[..], &[("a", true)]].concat()).await.unwrap();
        assert_eq!(bench.open_alerts().await.len(), 9);
    }

    #[tokio::test]
    async fn a_key_at_its_limit_is_an_alert_and_what_nobody_reports_any_more_ends() {
        let bench = Bench::new("").await;
        report(&bench, "shop", &["a", "b", "c", "d", "e"].map(|name| (name, false))).await.unwrap();
        let check = async || CheckPerformanceThresholds::default().run(&bench.cx).await.unwrap();
        check().await;
        let limit = async || bench.cx.store.alert_of("alert_limit:shop").await.unwrap().unwrap();
        assert_eq!(limit().await.status, Status::Active);
        bench.clock.advance(std::time::Duration::from_hours(7 * 24 - 1));
        report(&bench, "shop", &[("a", false)]).await.unwrap();
        bench.clock.advance(std::time::Duration::from_hours(2));
        check().await;
        let open: Vec<_> = bench.open_alerts().await.into_iter().map(|alert| alert.title).collect();
        assert_eq!(open, ["a"]);
        assert_eq!(limit().await.status, Status::Resolved);
        let ended = bench.cx.store.alert_of("api:b").await.unwrap().unwrap();
        assert_eq!(ended.note.as_deref(), Some("not reported again for 7d"));
    }

    #[tokio::test]
    async fn a_sender_at_its_limit_of_series_is_an_alert_until_it_is_not() {
        let bench = Bench::new("").await;
        let reached = "INSERT INTO series_limits_reached VALUES ('key:shop', 'pay', 'request', $AT)";
        let at = format!("'{}'", bench.clock.now().to_rfc3339());
        bench.database.execute(&reached.replace("$AT", &at)).await;
        let check = async || CheckPerformanceThresholds::default().run(&bench.cx).await.unwrap();
        check().await;
        let open: Vec<_> = bench.open_alerts().await.into_iter().map(|alert| alert.title).collect();
        let title = "key shop has as many endpoints in pay as it may have: new ones are counted as (other)";
        assert_eq!(open, [title]);
        bench.clock.advance(std::time::Duration::from_mins(16));
        check().await;
        assert!(bench.open_alerts().await.is_empty());
    }

    #[tokio::test]
    async fn reports_that_name_each_others_alerts_wait_for_no_one_for_ever() {
        let bench = std::sync::Arc::new(Bench::new("").await);
        let names = ["a", "b", "c", "d", "e"];
        let reports = (0..8).map(|n| {
            let bench = std::sync::Arc::clone(&bench);
            async move {
                let mut order = names.map(|name| (name, false));
                order.rotate_left(n % names.len());
                report(&bench, "shop", &order).await.unwrap()
            }
        });
        assert_eq!(futures_util::future::join_all(reports).await, [5; 8]);
        assert!(bench.open_alerts().await.iter().all(|alert| alert.occurrences == 8));
    }
}
