//! The `[store]` section of dogwatch.toml.

use std::time::Duration;

use dogwatch_runtime::duration;
use secrecy::SecretString;
use serde::Deserialize;

/// How Postgres is used. The defaults and the reason for each stand in dogwatch.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of Postgres. Absent: `dogwatch up` starts one of its own.
    pub url: Option<SecretString>,
    /// Connections of one process.
    pub max_connections: u32,
    /// How long a caller waits for a free connection.
    #[serde(with = "duration::required")]
    pub acquire_timeout: Duration,
    /// When Postgres ends a statement.
    #[serde(with = "duration::required")]
    pub statement_timeout: Duration,
}

impl Settings {
    /// A few connections and short waits, for tests of this crate and of those that use it.
    pub fn for_tests() -> Self {
        Self {
            url: None,
            max_connections: 5,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
        }
    }
}
