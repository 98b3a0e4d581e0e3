//! What a health check checks: a `[[services]]` entry of dogwatch.toml.
//!
//! Targets come from the configuration alone, never from the API: whoever may call the API must not be able to make
//! Dogwatch reach addresses of its own network.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

/// One service to check.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTarget {
    /// Its name in tables, alerts and reports.
    pub name: String,
    /// `http://…`, `https://…`, `tcp://host:port`, `postgres://…`, `redis://…`; may hold a password.
    pub url: SecretString,
    /// The HTTP status that means that all is well.
    #[serde(default = "ok")]
    pub expect_status: u16,
    /// How long the service may take.
    #[serde(default = "five_seconds", with = "duration")]
    pub timeout: Duration,
    /// Failures in a row after which it is unhealthy.
    #[serde(default = "three")]
    pub unhealthy_after: u32,
    /// Successes in a row after which it is healthy again.
    #[serde(default = "two")]
    pub healthy_after: u32,
}

fn ok() -> u16 {
    200
}
fn five_seconds() -> Duration {
    Duration::from_secs(5)
}
fn two() -> u32 {
    2
}
fn three() -> u32 {
    3
}

/// How a target is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Tcp,
    Postgres,
    Redis,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

impl ServiceTarget {
    /// A target with the default limits.
    pub fn new(name: &str, url: SecretString) -> Self {
        Self {
            name: name.to_owned(),
            url,
            expect_status: ok(),
            timeout: five_seconds(),
            unhealthy_after: three(),
            healthy_after: two(),
        }
    }

    /// Checks what the types cannot. The error names the key and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.name.is_empty() {
            return Err(("name", "is empty".to_owned()));
        }
        self.kind().map_err(|reason| ("url", reason))?;
        if !(100..=599).contains(&self.expect_status) {
            return Err(("expect_status", format!("`{}` is no HTTP status", self.expect_status)));
        }
        if self.timeout.is_zero() || self.timeout > Duration::from_mins(1) {
            return Err(("timeout", format!("`{:?}` is not between 1ms and 60s", self.timeout)));
        }
        if self.unhealthy_after == 0 || self.healthy_after == 0 {
            return Err(("unhealthy_after and healthy_after", "must be at least 1".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn kind(&self) -> Result<Kind, String> {
        let url = self.url.expose_secret();
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        let kind = match scheme {
            "http" | "https" => Kind::Http,
            "tcp" => Kind::Tcp,
            "postgres" | "postgresql" => Kind::Postgres,
            "redis" | "rediss" | "redis+unix" | "unix" => Kind::Redis,
            _ => {
                return Err(
                    "begins with none of http://, https://, tcp://, postgres://, redis://, rediss://"
                        .to_owned(),
                );
            }
        };
        let parsed = Url::parse(url).map_err(|error| format!("is no URL: {error}"))?;
        if kind == Kind::Tcp && (parsed.host_str().is_none() || parsed.port().is_none()) {
            return Err("has no host and port; write tcp://HOST:PORT".to_owned());
        }
        Ok(kind)
    }

    /// The address for people: without user, password and query, where keys hide.
    pub(crate) fn display(&self) -> String {
        let Ok(mut url) = Url::parse(self.url.expose_secret()) else {
            return "?".to_owned();
        };
        let socket = url.query_pairs().find(|(key, _)| key == "host").map(|(_, folder)| folder.into_owned());
        url.set_query(None);
        if url.set_username("").is_ok() {
            let _ = url.set_password(None);
        }
        socket.map_or_else(|| url.to_string(), |folder| format!("{url} in {folder}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> ServiceTarget {
        ServiceTarget::new("t", url.to_owned().into())
    }

    #[test]
    fn the_scheme_says_how_it_is_checked() {
        for (url, kind) in [
            ("https://a/healthz", Kind::Http),
            ("tcp://a:25", Kind::Tcp),
            ("postgres://u:p@a/db", Kind::Postgres),
            ("redis+unix:///run/redis.sock", Kind::Redis),
        ] {
            assert_eq!(target(url).kind(), Ok(kind));
        }
        assert!(target("ftp://a").kind().unwrap_err().contains("http://"));
        assert!(target("tcp://a").kind().unwrap_err().contains("tcp://HOST:PORT"));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        for url in ["postgres://app:hunter2@db/x", "https://h/check?key=hunter2", "redis://:hunter2@r:6379/0"]
        {
            assert!(!target(url).display().contains("hunter2"), "{}", target(url).display());
        }
        assert_eq!(
            target("postgres://d@localhost/x?host=/tmp/s").display(),
            "postgres://localhost/x in /tmp/s"
        );
    }
}
