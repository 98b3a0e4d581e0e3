//! `performance_alerts`: one open row per condition. Whoever changes an alert has it alone for that time
//! ([`AlertTurn`]); the change, its history and what has to be told of it are one transaction.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use dogwatch_alerting::{CANARY, Life, Severity, Status};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::notifications::{self, NewNotification};
use crate::words::AlertEvent;

/// Open alerts that are read at a time.
const PAGE: i64 = 500;
/// Events of an alert that one look returns.
const MAX_EVENTS: i64 = 1000;

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Its identity.
    pub id: Uuid,
    /// Which condition.
    pub fingerprint: String,
    /// Kind of condition: the name of a rule.
    pub alert_type: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What was seen, with figures.
    pub description: String,
    /// The tenant it is about.
    pub tenant: Option<String>,
    /// The service it is about.
    pub service: Option<String>,
    /// The endpoint it is about.
    pub endpoint: Option<String>,
    /// The host it is about.
    pub host: Option<String>,
    /// What routes and silences go by.
    pub labels: BTreeMap<String, String>,
    /// The API key that reported it, by its name; absent where a rule found it.
    #[serde(default)]
    pub reported_by: Option<String>,
    /// What was measured last.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The unit of both.
    pub unit: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// How often the condition was seen.
    pub occurrences: i64,
    /// When first.
    pub first_seen_at: DateTime<Utc>,
    /// When last.
    pub last_seen_at: DateTime<Utc>,
    /// When it was raised last; absent while it never was.
    pub raised_at: Option<DateTime<Utc>>,
    /// How often it came back.
    pub reopened: i32,
    /// It comes and goes, and is held open until it is calm.
    pub is_flapping: bool,
    /// When someone said that they have seen it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// What they said.
    pub note: Option<String>,
    /// When it was over.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Since when its condition holds, while it is pending.
    #[serde(skip)]
    pub pending_since: Option<DateTime<Utc>>,
    /// Since when its condition is clear, while it is open.
    #[serde(skip)]
    pub calm_since: Option<DateTime<Utc>>,
    /// When it ended and came back, the last times.
    #[serde(skip)]
    pub changes: Vec<DateTime<Utc>>,
}

impl Alert {
    /// What its next step goes by.
    pub fn life(&self) -> Life {
        Life {
            status: self.status,
            pending_since: self.pending_since,
            calm_since: self.calm_since,
            raised_at: self.raised_at,
            resolved_at: self.resolved_at,
            reopened: self.reopened,
            changes: self.changes.clone(),
            is_flapping: self.is_flapping,
        }
    }

    /// After a step.
    pub fn set_life(&mut self, life: Life) {
        self.status = life.status;
        self.pending_since = life.pending_since;
        self.calm_since = life.calm_since;
        self.raised_at = life.raised_at;
        self.resolved_at = life.resolved_at;
        self.reopened = life.reopened;
        self.changes = life.changes;
        self.is_flapping = life.is_flapping;
    }
}

/// Something that happened to an alert.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What.
    pub event: AlertEvent,
    /// Who did it, where a person did.
    pub actor: Option<String>,
    /// What they said.
    pub note: Option<String>,
}

impl From<AlertEvent> for NewEvent {
    fn from(event: AlertEvent) -> Self {
        Self { event, actor: None, note: None }
    }
}

/// A line of an alert's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PastEvent {
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// What.
    pub event: AlertEvent,
    /// The value then.
    pub value: Option<f64>,
    /// Who did it, where a person did.
    pub actor: Option<String>,
    /// What they said.
    pub note: Option<String>,
}

/// Which alerts to list.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Only with one of these statuses; none: all but those that are pending.
    pub statuses: Vec<Status>,
    /// Only as bad as this.
    pub severity: Option<Severity>,
    /// Only of this tenant.
    pub tenant: Option<String>,
    /// Only of this service.
    pub service: Option<String>,
    /// Only of this endpoint.
    pub endpoint: Option<String>,
    /// Only what was open at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Behind this one, in the order of the list.
    pub behind: Option<(DateTime<Utc>, Uuid)>,
    /// At most so many.
    pub limit: u32,
}

struct Row {
    id: Uuid,
    fingerprint: String,
    alert_type: String,
    severity: String,
    title: String,
    description: String,
    tenant: Option<String>,
    service: Option<String>,
    endpoint: Option<String>,
    host: Option<String>,
    labels: Json<BTreeMap<String, String>>,
    reported_by: Option<String>,
    value: Option<f64>,
    threshold: Option<f64>,
    unit: Option<String>,
    status: String,
    occurrences: i64,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    raised_at: Option<DateTime<Utc>>,
    reopened: i32,
    is_flapping: bool,
    acknowledged_at: Option<DateTime<Utc>>,
    acknowledged_by: Option<String>,
    note: Option<String>,
    resolved_at: Option<DateTime<Utc>>,
    pending_since: Option<DateTime<Utc>>,
    calm_since: Option<DateTime<Utc>>,
    changes: Vec<DateTime<Utc>>,
}

/// A query for alerts; what follows their columns is told.
macro_rules! alerts {
    ($rest:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, fingerprint, alert_type, severity, title, description, tenant, service, endpoint, host,
                    labels AS \"labels: Json<BTreeMap<String, String>>\", reported_by, value, threshold, unit, status, occurrences,
                    first_seen_at, last_seen_at, raised_at, reopened, is_flapping, acknowledged_at, acknowledged_by, note,
                    resolved_at, pending_since, calm_since, changes
             FROM performance_alerts " + $rest
            $(, $argument)*
        )
    };
}

impl Row {
    fn read(self) -> Result<Alert, StoreError> {
        let word = |what, word: String| move |_| StoreError::Word { what, word };
        Ok(Alert {
            id: self.id,
            fingerprint: self.fingerprint,
            alert_type: self.alert_type,
            severity: self.severity.parse().map_err(word("severity", self.severity))?,
            title: self.title,
            description: self.description,
            tenant: self.tenant,
            service: self.service,
            endpoint: self.endpoint,
            host: self.host,
            labels: self.labels.0,
            reported_by: self.reported_by,
            value: self.value,
            threshold: self.threshold,
            unit: self.unit,
            status: self.status.parse().map_err(word("status of an alert", self.status))?,
            occurrences: self.occurrences,
            first_seen_at: self.first_seen_at,
            last_seen_at: self.last_seen_at,
            raised_at: self.raised_at,
            reopened: self.reopened,
            is_flapping: self.is_flapping,
            acknowledged_at: self.acknowledged_at,
            acknowledged_by: self.acknowledged_by,
            note: self.note,
            resolved_at: self.resolved_at,
            pending_since: self.pending_since,
            calm_since: self.calm_since,
            changes: self.changes,
        })
    }
}

/// Alerts in the hands of one caller: nobody else changes them until this is committed or dropped, and all changes are
/// made or none.
#[derive(Debug)]
pub struct AlertTurn {
    transaction: Transaction<'static, Postgres>,
}

impl AlertTurn {
    /// Waits until nobody else has the alert of this condition in hand. Returns the one that is open, or else the one that
    /// was resolved last. Callers that take several take them in the order of their fingerprints, so that no two wait for
    /// each other.
    pub async fn take(&mut self, fingerprint: &str) -> Result<Option<Alert>, StoreError> {
        let failed = || StoreError::query("take an alert in hand");
        let lock = sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 7))::text AS locked",
            fingerprint
        );
        lock.fetch_one(&mut *self.transaction).await.map_err(failed())?;
        let row = alerts!(
            "WHERE fingerprint = $1 ORDER BY (status <> 'resolved') DESC, resolved_at DESC LIMIT 1",
            fingerprint
        );
        let row = row.fetch_optional(&mut *self.transaction).await.map_err(failed())?;
        row.map(Row::read).transpose()
    }

    /// How many alerts are open that this key has reported.
    pub async fn open_reported_by(&mut self, key: &str) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM performance_alerts WHERE status <> 'resolved' AND reported_by = $1"#,
            key
        );
        let count = count.fetch_one(&mut *self.transaction).await;
        count.map_err(StoreError::query("count the open alerts of a key"))
    }

    /// Makes the changes.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(StoreError::query("store alerts"))
    }

    /// Writes an alert, what happened to it, and what has to be told of that. What was told before is not told again.
    pub async fn save(
        &mut self,
        alert: &Alert,
        event: Option<NewEvent>,
        notifications: &[NewNotification],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::query("store an alert");
        sqlx::query!(
            r#"
            INSERT INTO performance_alerts (
                id, fingerprint, alert_type, severity, title, description, tenant, service, endpoint, host, labels, value,
                threshold, unit, status, occurrences, first_seen_at, last_seen_at, raised_at, reopened, is_flapping,
                acknowledged_at, acknowledged_by, note, resolved_at, pending_since, calm_since, changes, reported_by
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
                    $24, $25, $26, $27, $28, $29)
            ON CONFLICT (id) DO UPDATE SET
                severity = excluded.severity, title = excluded.title, description = excluded.description,
                labels = excluded.labels, value = excluded.value, threshold = excluded.threshold, unit = excluded.unit,
                status = excluded.status, occurrences = excluded.occurrences, last_seen_at = excluded.last_seen_at,
                raised_at = excluded.raised_at, reopened = excluded.reopened, is_flapping = excluded.is_flapping,
                acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by,
                note = excluded.note, resolved_at = excluded.resolved_at, pending_since = excluded.pending_since,
                calm_since = excluded.calm_since, changes = excluded.changes, reported_by = excluded.reported_by
            "#,
            alert.id,
            alert.fingerprint,
            alert.alert_type,
            alert.severity.as_str(),
            alert.title,
            alert.description,
            alert.tenant,
            alert.service,
            alert.endpoint,
            alert.host,
            Json(&alert.labels) as Json<&BTreeMap<String, String>>,
            alert.value,
            alert.threshold,
            alert.unit,
            alert.status.as_str(),
            alert.occurrences,
            alert.first_seen_at,
            alert.last_seen_at,
            alert.raised_at,
            alert.reopened,
            alert.is_flapping,
            alert.acknowledged_at,
            alert.acknowledged_by,
            alert.note,
            alert.resolved_at,
            alert.pending_since,
            alert.calm_since,
            &alert.changes,
            alert.reported_by
        )
        .execute(&mut *self.transaction)
        .await
        .map_err(failed())?;
        if let Some(NewEvent { event, actor, note }) = event {
            let insert = sqlx::query!(
                "INSERT INTO alert_events (alert_id, occurred_at, event, value, actor, note) VALUES ($1, $2, $3, $4, $5, $6)",
                alert.id,
                now,
                event.as_str(),
                alert.value,
                actor,
                note
            );
            insert.execute(&mut *self.transaction).await.map_err(failed())?;
        }
        notifications::note(&mut self.transaction, alert, notifications, now).await.map(drop)
    }

    /// Notes what is to be told of the alert though it has not changed; says how much of that is new.
    pub async fn remind(
        &mut self,
        alert: &Alert,
        notifications: &[NewNotification],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        notifications::note(&mut self.transaction, alert, notifications, now).await
    }

    /// Channels on which this alert was told, or is to be told, since it was raised last.
    pub async fn told_on(&mut self, alert: &Alert) -> Result<Vec<(String, String)>, StoreError> {
        let told = sqlx::query!(
            "SELECT DISTINCT ON (channel) channel, group_key FROM notifications
             WHERE alert_id = $1 AND event <> 'resolved' AND life = $2
             ORDER BY channel, id",
            alert.id,
            alert.reopened
        );
        let told =
            told.fetch_all(&mut *self.transaction).await.map_err(StoreError::query("look who was told"))?;
        Ok(told.into_iter().map(|row| (row.channel, row.group_key)).collect())
    }

    /// The alert as if it had not been: it was pending and never raised.
    pub async fn forget(&mut self, id: Uuid) -> Result<(), StoreError> {
        let delete = sqlx::query!(
            "DELETE FROM performance_alerts WHERE id = $1 AND status = 'pending' AND raised_at IS NULL",
            id
        );
        delete.execute(&mut *self.transaction).await.map(drop).map_err(StoreError::query("forget an alert"))
    }
}

/// The open alerts, pending ones too, page by page: those that are there all the time are among them, whatever comes and
/// ends meanwhile.
#[derive(Debug)]
pub struct OpenAlerts {
    store: Store,
    behind: Option<Uuid>,
    is_over: bool,
}

impl OpenAlerts {
    /// The next page; empty when there is none.
    pub async fn next_page(&mut self) -> Result<Vec<Alert>, StoreError> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let rows = alerts!(
            "WHERE status <> 'resolved' AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2",
            self.behind,
            PAGE
        );
        let rows = rows.fetch_all(&self.store.pool).await.map_err(StoreError::query("read open alerts"))?;
        self.is_over = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        self.behind = rows.last().map(|row| row.id).or(self.behind);
        rows.into_iter().map(Row::read).collect()
    }
}

impl Store {
    /// Begins to change alerts.
    pub async fn alert_turn(&self) -> Result<AlertTurn, StoreError> {
        let transaction = self.pool.begin().await.map_err(StoreError::query("take an alert in hand"))?;
        Ok(AlertTurn { transaction })
    }

    /// The alert with this id.
    pub async fn alert(&self, id: Uuid) -> Result<Option<Alert>, StoreError> {
        let row = alerts!("WHERE id = $1", id);
        let row = row.fetch_optional(&self.pool).await.map_err(StoreError::query("read an alert"))?;
        row.map(Row::read).transpose()
    }

    /// The open alert of this condition, or else the one that was resolved last.
    pub async fn alert_of(&self, fingerprint: &str) -> Result<Option<Alert>, StoreError> {
        let row = alerts!(
            "WHERE fingerprint = $1 ORDER BY (status <> 'resolved') DESC, resolved_at DESC LIMIT 1",
            fingerprint
        );
        let row = row.fetch_optional(&self.pool).await.map_err(StoreError::query("read an alert"))?;
        row.map(Row::read).transpose()
    }

    /// What happened to it, in order; the last thousand.
    pub async fn alert_events(&self, id: Uuid) -> Result<Vec<PastEvent>, StoreError> {
        let rows = sqlx::query!(
            "SELECT occurred_at, event, value, actor, note FROM
                 (SELECT * FROM alert_events WHERE alert_id = $1 ORDER BY id DESC LIMIT $2) AS last
             ORDER BY id",
            id,
            MAX_EVENTS
        );
        let rows =
            rows.fetch_all(&self.pool).await.map_err(StoreError::query("read the history of an alert"))?;
        rows.into_iter()
            .map(|row| {
                Ok(PastEvent {
                    occurred_at: row.occurred_at,
                    event: row.event.try_into()?,
                    value: row.value,
                    actor: row.actor,
                    note: row.note,
                })
            })
            .collect()
    }

    /// All alerts that are not resolved.
    pub fn open_alerts(&self) -> OpenAlerts {
        OpenAlerts { store: self.clone(), behind: None, is_over: false }
    }

    /// Fingerprints of the open alerts that rules have found.
    pub async fn open_conditions(&self) -> Result<HashSet<String>, StoreError> {
        let found = sqlx::query_scalar!(
            "SELECT fingerprint FROM performance_alerts WHERE status <> 'resolved' AND reported_by IS NULL"
        );
        let found = found.fetch_all(&self.pool).await.map_err(StoreError::query("read open alerts"))?;
        Ok(found.into_iter().collect())
    }

    /// Open alerts that a key has reported and not since this time; a few at a time, the oldest first.
    pub async fn alerts_not_reported_since(&self, since: DateTime<Utc>) -> Result<Vec<Uuid>, StoreError> {
        let old = sqlx::query_scalar!(
            "SELECT id FROM performance_alerts
             WHERE status <> 'resolved' AND reported_by IS NOT NULL AND last_seen_at < $1
             ORDER BY last_seen_at LIMIT $2",
            since,
            PAGE
        );
        old.fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("look for alerts that nobody reports any more"))
    }

    /// Keys with at least so many open alerts, and how many those are.
    pub async fn keys_with_open_alerts(&self, least: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let keys = sqlx::query!(
            r#"SELECT reported_by AS "key!", count(*) AS "count!" FROM performance_alerts
               WHERE status <> 'resolved' AND reported_by IS NOT NULL GROUP BY reported_by HAVING count(*) >= $1"#,
            least
        );
        let keys =
            keys.fetch_all(&self.pool).await.map_err(StoreError::query("count open alerts of keys"))?;
        Ok(keys.into_iter().map(|row| (row.key, row.count)).collect())
    }

    /// Open alerts by severity, pending ones and the canary left out; of a tenant and a service where they are given.
    pub async fn open_alert_counts(
        &self,
        tenant: Option<&str>,
        service: Option<&str>,
    ) -> Result<BTreeMap<Severity, i64>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT severity, count(*) AS "count!" FROM performance_alerts
               WHERE status IN ('active', 'acknowledged') AND alert_type <> $3
                 AND ($1::text IS NULL OR tenant = $1) AND ($2::text IS NULL OR service = $2)
               GROUP BY severity"#,
            tenant,
            service,
            CANARY
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("count open alerts"))?;
        let counts = rows.into_iter().filter_map(|row| Some((row.severity.parse().ok()?, row.count)));
        Ok(counts.collect())
    }

    /// Alerts, those seen last first; not the canary, of which nothing is wrong.
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let (behind_at, behind_id) = filter.behind.unzip();
        let statuses: Vec<&str> = filter.statuses.iter().map(|status| status.as_str()).collect();
        let rows = alerts!(
            "WHERE (status = ANY ($1) OR (cardinality($1::text[]) = 0 AND status <> 'pending')) AND alert_type <> $9
               AND ($10::text IS NULL OR severity = $10)
               AND ($2::text IS NULL OR tenant = $2)
               AND ($3::text IS NULL OR service = $3)
               AND ($4::text IS NULL OR endpoint = $4)
               AND ($5::timestamptz IS NULL OR resolved_at IS NULL OR resolved_at >= $5 OR status <> 'resolved')
               AND ($6::timestamptz IS NULL OR (last_seen_at, id) < ($6, $7))
             ORDER BY last_seen_at DESC, id DESC
             LIMIT $8",
            &statuses as &[&str],
            filter.tenant,
            filter.service,
            filter.endpoint,
            filter.since,
            behind_at,
            behind_id,
            i64::from(filter.limit),
            CANARY,
            filter.severity.map(Severity::as_str)
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read alerts"))?;
        rows.into_iter().map(Row::read).collect()
    }
}
