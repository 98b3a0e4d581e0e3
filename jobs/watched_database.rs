//! A Postgres whose own statistics are read: a `[[watched_databases]]` entry of dogwatch.toml.

use std::time::Duration;

use dogwatch_runtime::duration;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// One database to watch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchedDatabase {
    /// Its name in lists.
    pub name: String,
    /// `postgres://…`; may hold a password. A user with the role `pg_read_all_stats` is enough.
    pub url: SecretString,
    /// How long it may take.
    #[serde(default = "five_seconds", with = "duration::required")]
    pub timeout: Duration,
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

impl WatchedDatabase {
    /// One with the default limit.
    pub fn new(name: &str, url: SecretString) -> Self {
        Self { name: name.to_owned(), url, timeout: five_seconds() }
    }

    /// Checks what the types cannot. The error names the key and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.name.is_empty() || self.name.len() > 100 {
            return Err(("name", format!("`{}` has {} bytes; write 1 to 100", self.name, self.name.len())));
        }
        let url = self.url.expose_secret();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(("url", "does not begin with postgres://".to_owned()));
        }
        if self.timeout.is_zero() {
            return Err(("timeout", "`0s` is no time to answer in".to_owned()));
        }
        Ok(())
    }
}
