//! `service_health` and its history `service_health_checks`.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use utoipa::ToSchema;

use crate::Store;
use crate::error::StoreError;
use crate::partitions::HEALTH;
use crate::words::HealthState;

/// Services that one look returns.
const MAX_ROWS: i64 = 5000;

/// What one check has found.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// Name of the service.
    pub service: String,
    /// How it was checked.
    pub kind: String,
    /// Its address for people.
    pub target: String,
    /// Whether it answers as it should.
    pub ok: bool,
    /// It does, and something is not as it should be: it is slow, its certificate ends soon.
    pub is_degraded: bool,
    /// How long the check took.
    pub response_time_ms: f64,
    /// What is wrong.
    pub error: Option<String>,
}

/// How many findings in a row change the state, and when the next check is due.
#[derive(Clone, Copy, Debug)]
pub struct HealthRule {
    /// Failures until it is unhealthy.
    pub unhealthy_after: u32,
    /// Successes until it is healthy again. The very first success is enough for a service that is new.
    pub healthy_after: u32,
    /// How long until it is checked again.
    pub interval: TimeDelta,
}

/// How a service is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ServiceHealth {
    /// Its name.
    pub service: String,
    /// How it is checked.
    pub kind: String,
    /// Its address for people.
    pub target: String,
    /// How it is.
    pub state: HealthState,
    /// Since when.
    pub state_since: DateTime<Utc>,
    /// Failures in a row.
    pub consecutive_failures: i32,
    /// Successes in a row.
    pub consecutive_successes: i32,
    /// The last check.
    pub last_checked_at: DateTime<Utc>,
    /// The last success.
    pub last_ok_at: Option<DateTime<Utc>>,
    /// How long the last check took.
    pub response_time_ms: Option<f64>,
    /// What the last check found wrong.
    pub error: Option<String>,
    /// Whether the last check changed the state. False in lists.
    #[serde(skip)]
    pub changed: bool,
}

struct Row {
    service: String,
    kind: String,
    target: String,
    state: String,
    state_since: DateTime<Utc>,
    consecutive_failures: i32,
    consecutive_successes: i32,
    last_checked_at: DateTime<Utc>,
    last_ok_at: Option<DateTime<Utc>>,
    response_time_ms: Option<f64>,
    error: Option<String>,
}

impl Row {
    fn read(self) -> Result<ServiceHealth, StoreError> {
        Ok(ServiceHealth {
            service: self.service,
            kind: self.kind,
            target: self.target,
            state: self.state.try_into()?,
            state_since: self.state_since,
            consecutive_failures: self.consecutive_failures,
            consecutive_successes: self.consecutive_successes,
            last_checked_at: self.last_checked_at,
            last_ok_at: self.last_ok_at,
            response_time_ms: self.response_time_ms,
            error: self.error,
            changed: false,
        })
    }
}

impl Store {
    /// Notes a finding and says how the service is now. Two checkers at once count one after the other.
    pub async fn record_health_check(
        &self,
        check: &HealthCheck,
        rule: HealthRule,
        now: DateTime<Utc>,
    ) -> Result<ServiceHealth, StoreError> {
        self.ensure_days(HEALTH, std::iter::once(now)).await?;
        let failed = || StoreError::query("store a health check");
        let limit = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        sqlx::query!(
            r#"
            INSERT INTO service_health (
                service, kind, target, state, state_since, consecutive_failures, consecutive_successes, last_checked_at
            )
            VALUES ($1, $2, $3, 'unknown', $4, 0, 0, $4)
            ON CONFLICT (service) DO NOTHING
            "#,
            check.service,
            check.kind,
            check.target,
            now
        )
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        // Locks the row: whoever checks at the same time waits here.
        let before = sqlx::query_scalar!(
            "SELECT state FROM service_health WHERE service = $1 FOR UPDATE",
            check.service
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed())?;
        let row = sqlx::query_as!(
            Row,
            r#"
            UPDATE service_health SET
                kind = $2,
                target = $3,
                consecutive_failures = CASE WHEN $4 THEN 0 ELSE consecutive_failures + 1 END,
                consecutive_successes = CASE WHEN $4 THEN consecutive_successes + 1 ELSE 0 END,
                state = CASE
                    WHEN $4 AND (state <> 'unhealthy' OR consecutive_successes + 1 >= $7)
                        THEN CASE WHEN $10 THEN 'degraded' ELSE 'healthy' END
                    WHEN NOT $4 AND consecutive_failures + 1 >= $6 THEN 'unhealthy'
                    ELSE state
                END,
                last_checked_at = $5,
                -- In its own time, also when this check came late, or took long.
                next_check_at = greatest(coalesce(next_check_at, $5::timestamptz - $8 * interval '1 millisecond') + $11 * interval '1 millisecond',
                                         $5 + $11 * interval '0.5 milliseconds'),
                last_ok_at = CASE WHEN $4 THEN $5 ELSE last_ok_at END,
                response_time_ms = $8,
                error = $9
            WHERE service = $1
            RETURNING
                service, kind, target, state, state_since, consecutive_failures, consecutive_successes, last_checked_at,
                last_ok_at, response_time_ms, error
            "#,
            check.service,
            check.kind,
            check.target,
            check.ok,
            now,
            limit(rule.unhealthy_after),
            limit(rule.healthy_after),
            check.response_time_ms,
            check.error,
            check.is_degraded,
            rule.interval.num_milliseconds() as f64
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed())?;
        let mut health = row.read()?;
        health.changed = health.state.as_str() != before;
        if health.changed {
            sqlx::query!("UPDATE service_health SET state_since = $2 WHERE service = $1", check.service, now)
                .execute(&mut *transaction)
                .await
                .map_err(failed())?;
            health.state_since = now;
        }
        remember(&mut transaction, check, health.state, now).await.map_err(failed())?;
        sqlx::query!("DELETE FROM service_check_claims WHERE service = $1", check.service)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(health)
    }

    /// Takes those services in hand that are due before then, or were never checked, and that nobody else looks at: for this
    /// caller until their leases are over, or the check is recorded. With each, when it is due.
    pub async fn claim_services(
        &self,
        services: &[(String, Duration)],
        due_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<(String, DateTime<Utc>)>, StoreError> {
        let names: Vec<String> = services.iter().map(|(name, _)| name.clone()).collect();
        let leases_ms: Vec<f64> = services.iter().map(|(_, lease)| lease.as_secs_f64() * 1e3).collect();
        let claimed = sqlx::query!(
            r#"
            WITH due AS (
                SELECT name, lease_ms, coalesce(next_check_at, $4) AS due_at
                FROM unnest($1::text[], $2::double precision[]) AS configured (name, lease_ms)
                LEFT JOIN service_health ON service = name
                WHERE next_check_at IS NULL OR next_check_at < $3
            ), claimed AS (
                INSERT INTO service_check_claims (service, until)
                SELECT name, greatest(due_at, $4) + lease_ms * interval '1 millisecond' FROM due ORDER BY name
                ON CONFLICT (service) DO UPDATE SET until = excluded.until WHERE service_check_claims.until <= $4
                RETURNING service
            )
            SELECT service AS "service!", due_at AS "due_at!" FROM claimed JOIN due ON name = service
            "#,
            &names,
            &leases_ms,
            due_before,
            now
        );
        let claimed =
            claimed.fetch_all(&self.pool).await.map_err(StoreError::query("look which services are due"))?;
        Ok(claimed.into_iter().map(|row| (row.service, row.due_at)).collect())
    }

    /// How much of the time since then services were up, 0 to 1; absent is what was not checked.
    pub async fn uptime(&self, since: DateTime<Utc>) -> Result<HashMap<String, f64>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT service, (sum(up)::double precision / greatest(sum(checks), 1)) AS "up!"
               FROM service_uptime WHERE hour > $1::timestamptz - interval '1 hour' GROUP BY service"#,
            since
        );
        let rows =
            rows.fetch_all(&self.pool).await.map_err(StoreError::query("read how long services were up"))?;
        Ok(rows.into_iter().map(|row| (row.service, row.up)).collect())
    }

    /// How all services are.
    pub async fn service_health(&self) -> Result<Vec<ServiceHealth>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"
            SELECT
                service, kind, target, state, state_since, consecutive_failures, consecutive_successes, last_checked_at,
                last_ok_at, response_time_ms, error
            FROM service_health
            ORDER BY service
            LIMIT $1
            "#,
            MAX_ROWS
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("read the health of services"))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Forgets services that are no longer configured; their history stays until it is old.
    pub async fn forget_services_not_in(&self, names: &[String]) -> Result<u64, StoreError> {
        let deleted = sqlx::query!("DELETE FROM service_health WHERE service <> ALL($1)", names)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("forget services"))?;
        Ok(deleted.rows_affected())
    }
}

/// Adds a check to the history, and to the uptime.
async fn remember(
    transaction: &mut Transaction<'_, Postgres>,
    check: &HealthCheck,
    state: HealthState,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO service_health_checks (service, checked_at, ok, state, response_time_ms, error)
        VALUES ($1, $2, $3, $4, $5, $6)
        "#,
        check.service,
        now,
        check.ok,
        state.as_str(),
        check.response_time_ms,
        check.error
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "INSERT INTO service_uptime (service, hour, checks, up) VALUES ($1, $2, 1, $3)
         ON CONFLICT (service, hour) DO UPDATE SET checks = service_uptime.checks + 1, up = service_uptime.up + $3",
        check.service,
        now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now),
        i32::from(check.ok)
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
