//! How the checked services are, for people and machines: the API and the command line give the same answer.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_store::{RecoveryAttempt, ServiceHealth, Store, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A service, and how much of the time it was up, 0 to 1; absent is what was not checked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// How it is.
    #[serde(flatten)]
    pub health: ServiceHealth,
    /// In the last day.
    pub uptime_24h: Option<f64>,
    /// In the last week.
    pub uptime_7d: Option<f64>,
    /// In the last thirty days.
    pub uptime_30d: Option<f64>,
    /// Services without which it cannot work.
    pub needs: Vec<String>,
    /// The last attempt to bring it back, of the last thirty days.
    pub last_recovery: Option<RecoveryAttempt>,
}

/// All of them, by name. `needs` is what each needs, as the settings have it.
pub async fn services(
    store: &Store,
    needs: &BTreeMap<String, Vec<String>>,
    now: DateTime<Utc>,
) -> Result<Vec<Service>, StoreError> {
    let (health, day, week, month, mut recoveries) = tokio::try_join!(
        store.service_health(),
        store.uptime(now - TimeDelta::hours(24)),
        store.uptime(now - TimeDelta::days(7)),
        store.uptime(now - TimeDelta::days(30)),
        store.last_recoveries(now - TimeDelta::days(30))
    )?;
    let service = |health: ServiceHealth| Service {
        uptime_24h: day.get(&health.service).copied(),
        uptime_7d: week.get(&health.service).copied(),
        uptime_30d: month.get(&health.service).copied(),
        needs: needs.get(&health.service).cloned().unwrap_or_default(),
        last_recovery: recoveries.remove(&health.service),
        health,
    };
    Ok(health.into_iter().map(service).collect())
}
