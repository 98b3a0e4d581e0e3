//! What a job may use. Built in one place (`src/wiring.rs`); a job takes from it and hands on no more than it needs.

use std::fmt;

use dogwatch_notify::Notifier;
use dogwatch_queue::{Clock, Inspector, LogLimit};
use dogwatch_store::{Store, StoreError};

use crate::alerts::Alerting;
use crate::changes::Section;
use crate::host::HostSampler;
use crate::settings::Settings;
use crate::target::ServiceTarget;
use crate::watched_database::WatchedDatabase;

/// The context of every job.
pub struct Services {
    /// Postgres.
    pub store: Store,
    /// Rules, and who hears of what they find.
    pub alerting: Alerting,
    /// The channels for alerts.
    pub notifier: Notifier,
    /// The queues, to look at.
    pub inspector: Inspector,
    /// For health checks.
    pub http: reqwest::Client,
    /// The same for addresses of this machine: goes by no proxy.
    pub http_here: reqwest::Client,
    /// The time.
    pub clock: Clock,
    /// Reads this machine.
    pub host: HostSampler,
    /// What `check_service_health` checks, our own Postgres and Redis among them.
    pub targets: Vec<ServiceTarget>,
    /// What `read_query_statistics` reads.
    pub watched_databases: Vec<WatchedDatabase>,
    /// Thresholds, windows, retention, as the file has them.
    pub settings: Settings,
    /// For what is logged when a channel reaches its limit.
    pub limits_reached: LogLimit,
}

impl Services {
    /// The settings as they are now. Asked for by each run, and kept by none: what somebody has just changed holds, also where
    /// a process has just begun.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn settings_now(&self) -> Result<Settings, StoreError> {
        Ok(self.settings.changed(&self.store.setting_changes().await?))
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("settings", &self.settings).finish_non_exhaustive()
    }
}
