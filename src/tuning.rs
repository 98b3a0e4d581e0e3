//! Settings that people may change while Dogwatch runs: which ones, what they are now, and the change of them. Changes are kept
//! in Postgres with who and when. Jobs ask for them at each run; a process that takes metrics, and needs them with each
//! request, looks every few seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dogwatch_jobs::Section;
use dogwatch_queue::{Clock, error_chain};
use dogwatch_store::{SettingChange, Store, StoreError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::{Config, MonitoringSettings};

/// How often a process looks for changes.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What may be changed, and its unit. What needs a restart, names something secret, or tells where to connect to is not here.
const CHANGEABLE: [(&str, Option<&str>); 15] = [
    ("jobs.thresholds.window_minutes", Some("minutes")),
    ("jobs.thresholds.cpu_percent", Some("percent")),
    ("jobs.thresholds.memory_percent", Some("percent")),
    ("jobs.thresholds.disk_percent", Some("percent")),
    ("jobs.thresholds.error_rate_percent", Some("percent")),
    ("jobs.thresholds.response_time_ms", Some("milliseconds")),
    ("jobs.thresholds.trend_change_percent", Some("percent")),
    ("jobs.thresholds.limit_in_hours", Some("hours")),
    ("jobs.thresholds.min_requests", Some("requests")),
    ("jobs.retention_days", Some("days")),
    ("jobs.trend_min_change_percent", Some("percent")),
    ("monitoring.enabled", None),
    ("monitoring.slow_query_ms", Some("milliseconds")),
    ("monitoring.slow_request_ms", Some("milliseconds")),
    ("monitoring.log_ms", Some("milliseconds")),
];

/// A setting, and what it is now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Setting {
    /// As in dogwatch.toml, with its section.
    pub name: String,
    /// What counts.
    pub value: Value,
    /// What the configuration file says.
    pub default: Value,
    /// The unit of both; absent where there is none.
    pub unit: Option<&'static str>,
    /// When it was changed last; absent: never.
    pub changed_at: Option<DateTime<Utc>>,
    /// By whom.
    pub changed_by: Option<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// One of the changes makes no sense.
    #[error("{name}: {reason}")]
    Wrong {
        /// The setting.
        name: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Postgres did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The settings that may be changed, in a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tuning(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    file: Sections,
    now: RwLock<Arc<MonitoringSettings>>,
}

/// Both sections, as the file has them or as they are now.
#[derive(Debug)]
struct Sections {
    jobs: dogwatch_jobs::Settings,
    monitoring: MonitoringSettings,
}

impl Sections {
    fn value(&self, name: &str) -> Option<Value> {
        self.jobs.value(name).or_else(|| self.monitoring.value(name))
    }
}

impl Tuning {
    /// Looks for changes until the last handle is gone. Has to be called inside a Tokio runtime.
    pub fn start(store: Store, clock: Clock, config: &Config) -> Self {
        let inner = Arc::new(Inner {
            store,
            clock,
            file: Sections { jobs: config.jobs.clone(), monitoring: config.monitoring.clone() },
            now: RwLock::new(Arc::new(config.monitoring.clone())),
        });
        tokio::spawn(follow(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// `[monitoring]` as it is now.
    pub fn monitoring(&self) -> Arc<MonitoringSettings> {
        Arc::clone(&self.0.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// All that may be changed.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn settings(&self) -> Result<Vec<Setting>, StoreError> {
        let changes = self.0.look().await?;
        let Inner { file, .. } = &*self.0;
        let now =
            Sections { jobs: file.jobs.changed(&changes), monitoring: file.monitoring.changed(&changes) };
        let setting = |(name, unit): &(&str, Option<&'static str>)| {
            let change = changes.iter().find(|change| change.name == *name);
            Some(Setting {
                name: (*name).to_owned(),
                value: now.value(name)?,
                default: file.value(name)?,
                unit: *unit,
                changed_at: change.map(|change| change.changed_at),
                changed_by: change.map(|change| change.changed_by.clone()),
            })
        };
        Ok(CHANGEABLE.iter().filter_map(setting).collect())
    }

    /// Changes settings, all of them or none; null: back to what the file says.
    ///
    /// # Errors
    /// The first that makes no sense; or when Postgres does not answer.
    pub async fn change(&self, values: BTreeMap<String, Value>, by: &str) -> Result<(), ChangeError> {
        for (name, value) in &values {
            let wrong = |reason| ChangeError::Wrong { name: name.clone(), reason };
            if !CHANGEABLE.iter().any(|(known, _)| known == name) {
                let known = CHANGEABLE.map(|(name, _)| name).join(", ");
                return Err(wrong(format!("cannot be changed while Dogwatch runs; these can: {known}")));
            }
            if !value.is_null() {
                self.0.check(name, value).map_err(wrong)?;
            }
        }
        let changed_at = self.0.clock.now();
        let change = |(name, value): (String, Value)| SettingChange {
            name,
            value: (!value.is_null()).then_some(value),
            changed_by: by.to_owned(),
            changed_at,
        };
        let changes: Vec<_> = values.into_iter().map(change).collect();
        for SettingChange { name, value, .. } in &changes {
            tracing::info!(name, value = ?value, by, "a setting is changed");
        }
        self.0.store.change_settings(&changes).await?;
        self.0.look().await?;
        Ok(())
    }
}

impl Inner {
    /// Reads the changes, and goes by them from here on.
    async fn look(&self) -> Result<Vec<SettingChange>, StoreError> {
        let changes = self.store.setting_changes().await?;
        let now = Arc::new(self.file.monitoring.changed(&changes));
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(changes)
    }

    fn check(&self, name: &str, value: &Value) -> Result<(), String> {
        let Sections { jobs, monitoring } = &self.file;
        let of_jobs = jobs.with(name, value).map(|changed| changed.map(drop));
        of_jobs.or_else(|| monitoring.with(name, value).map(|changed| changed.map(drop))).unwrap_or(Ok(()))
    }
}

async fn follow(inner: Weak<Inner>) {
    while let Some(inner) = inner.upgrade() {
        if let Err(error) = inner.look().await {
            tracing::debug!(error = error_chain(&error), "cannot look for changed settings");
        }
        drop(inner);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
