//! What a health check checks: a `[[services]]` entry of dogwatch.toml.
//!
//! Targets, and what may be done to bring one back, come from the configuration alone, never from the API: whoever may
//! call the API must not be able to make Dogwatch reach addresses of its own network, or run a command.

use std::collections::BTreeMap;
use std::time::Duration;

use dogwatch_runtime::duration;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use url::Url;

use crate::reach::names::Question;
use crate::recovery::RecoverySettings;

/// One service to check.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTarget {
    /// Its name in tables, alerts and reports.
    pub name: String,
    /// `http://…`, `https://…`, `tcp://host:port`, `tls://host:port`, `dns://name?type=A`, `postgres://…`, `redis://…`, or
    /// `heartbeat:`: then the service has to call us. May hold a password.
    pub url: SecretString,
    /// How often it is checked; of a heartbeat, how often it has to be heard.
    #[serde(default = "half_a_minute", with = "duration::required")]
    pub interval: Duration,
    /// How long the service may take.
    #[serde(default = "five_seconds", with = "duration::required")]
    pub timeout: Duration,
    /// Attempts that follow a failure at once, before it counts.
    #[serde(default)]
    pub retries: u32,
    /// Failures in a row after which it is unhealthy.
    #[serde(default = "three")]
    pub unhealthy_after: u32,
    /// Successes in a row after which it is healthy again.
    #[serde(default = "two")]
    pub healthy_after: u32,
    /// When it takes longer than this, it is degraded.
    pub degraded_above_ms: Option<f64>,
    /// Services that it needs: while one of them is unhealthy, this one's alert is not told, but listed in theirs.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What is done to bring it back.
    pub recovery: Option<RecoverySettings>,

    /// HTTP: the method.
    #[serde(default = "get")]
    pub method: String,
    /// HTTP: headers; may hold secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// HTTP: statuses that mean that all is well; a number or a list.
    #[serde(default = "ok", deserialize_with = "statuses")]
    pub expect_status: Vec<u16>,
    /// HTTP: a text that the body has to contain.
    pub expect_body: Option<String>,
    /// HTTP: values of the body as JSON, by JSON pointers.
    #[serde(default)]
    pub expect_json: BTreeMap<String, Value>,
    /// HTTP: redirects that are followed.
    #[serde(default)]
    pub redirects: u8,
    /// TLS: with fewer days left, it is degraded.
    #[serde(default = "two_weeks")]
    pub min_days_left: i64,
    /// DNS: records that there have to be.
    #[serde(default)]
    pub expect_records: Vec<String>,
    /// Postgres: a query whose first value has to be true.
    pub query: Option<String>,
    /// Redis: a replica that is farther behind its master is degraded.
    pub max_lag_bytes: Option<i64>,
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
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
fn get() -> String {
    "GET".to_owned()
}
fn ok() -> Vec<u16> {
    vec![200]
}
fn two_weeks() -> i64 {
    14
}

fn statuses<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<u16>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Statuses {
        One(u16),
        Many(Vec<u16>),
    }
    match Statuses::deserialize(value)
        .map_err(|_| D::Error::custom("write a status such as 200, or a list of them"))?
    {
        Statuses::One(one) => Ok(vec![one]),
        Statuses::Many(many) => Ok(many),
    }
}

/// How a target is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Tcp,
    Tls,
    Dns,
    Postgres,
    Redis,
    Heartbeat,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Heartbeat => "heartbeat",
        }
    }
}

impl ServiceTarget {
    /// A target with the default limits.
    pub fn new(name: &str, url: SecretString) -> Self {
        Self {
            name: name.to_owned(),
            url,
            interval: half_a_minute(),
            timeout: five_seconds(),
            retries: 0,
            unhealthy_after: three(),
            healthy_after: two(),
            degraded_above_ms: None,
            needs: Vec::new(),
            recovery: None,
            method: get(),
            headers: BTreeMap::new(),
            expect_status: ok(),
            expect_body: None,
            expect_json: BTreeMap::new(),
            redirects: 0,
            min_days_left: two_weeks(),
            expect_records: Vec::new(),
            query: None,
            max_lag_bytes: None,
        }
    }

    /// Checks what the types cannot. The error names the key and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.name.is_empty() {
            return Err(("name", "is empty".to_owned()));
        }
        self.kind().map_err(|reason| ("url", reason))?;
        if let Some(status) = self.expect_status.iter().find(|status| !(100..=599).contains(*status)) {
            return Err(("expect_status", format!("`{status}` is no HTTP status")));
        }
        if reqwest::Method::from_bytes(self.method.as_bytes()).is_err() {
            return Err(("method", format!("`{}` is no HTTP method", self.method)));
        }
        if let Some(pointer) =
            self.expect_json.keys().find(|pointer| !pointer.is_empty() && !pointer.starts_with('/'))
        {
            return Err((
                "expect_json",
                format!("`{pointer}` is no JSON pointer; write one such as \"/status\""),
            ));
        }
        if self.timeout.is_zero() || self.timeout > Duration::from_mins(1) {
            return Err((
                "timeout",
                format!("`{}` is not between 1ms and 60s", duration::format(self.timeout)),
            ));
        }
        if self.interval < Duration::from_secs(1) || self.interval > Duration::from_hours(24 * 31) {
            return Err((
                "interval",
                format!("`{}` is not between 1s and 31d", duration::format(self.interval)),
            ));
        }
        if self.retries > 10 {
            return Err(("retries", format!("`{}` is more than 10", self.retries)));
        }
        if self.unhealthy_after == 0 || self.healthy_after == 0 {
            return Err(("unhealthy_after and healthy_after", "must be at least 1".to_owned()));
        }
        self.recovery
            .as_ref()
            .map_or(Ok(()), |recovery| recovery.validate().map_err(|reason| ("recovery", reason)))
    }

    pub(crate) fn kind(&self) -> Result<Kind, String> {
        let url = self.url.expose_secret();
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        let kind = match scheme {
            "http" | "https" => Kind::Http,
            "tcp" => Kind::Tcp,
            "tls" => Kind::Tls,
            "dns" => Kind::Dns,
            "postgres" | "postgresql" => Kind::Postgres,
            "redis" | "rediss" | "redis+unix" | "unix" => Kind::Redis,
            "heartbeat" => Kind::Heartbeat,
            _ => {
                return Err("begins with none of http://, https://, tcp://, tls://, dns://, postgres://, redis://, rediss://, \
                            heartbeat:"
                    .to_owned());
            }
        };
        let parsed = Url::parse(url).map_err(|error| format!("is no URL: {error}"))?;
        if matches!(kind, Kind::Tcp | Kind::Tls) && (parsed.host_str().is_none() || parsed.port().is_none()) {
            return Err(format!("has no host and port; write {scheme}://HOST:PORT"));
        }
        if kind == Kind::Dns && parsed.host_str().is_none_or(str::is_empty) {
            return Err("has no name; write dns://NAME?type=A".to_owned());
        }
        if kind == Kind::Dns {
            Question::of(&parsed)?;
        }
        Ok(kind)
    }

    /// The address for people: without user, password and query, where keys hide.
    pub(crate) fn display(&self) -> String {
        let text = self.url.expose_secret();
        let Ok(mut url) = Url::parse(text) else {
            return "?".to_owned();
        };
        // A password that is not encoded may have been split: a part of it would be taken for a host.
        let is_split = |part: Option<&str>| part.is_some_and(|part| part.contains('@'));
        let has_password = matches!(self.kind(), Ok(Kind::Redis | Kind::Postgres));
        if has_password && (is_split(url.query()) || is_split(url.fragment()) || url.path().contains('@')) {
            return format!("{}://***", url.scheme());
        }
        let socket = url.query_pairs().find(|(key, _)| key == "host").map(|(_, folder)| folder.into_owned());
        url.set_query(None);
        url.set_fragment(None);
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
            ("tls://a:443", Kind::Tls),
            ("dns://example.com?type=MX", Kind::Dns),
            ("postgres://u:p@a/db", Kind::Postgres),
            ("redis+unix:///run/redis.sock", Kind::Redis),
            ("heartbeat:", Kind::Heartbeat),
        ] {
            assert_eq!(target(url).kind(), Ok(kind));
        }
        assert!(target("ftp://a").kind().unwrap_err().contains("http://"));
        assert!(target("tcp://a").kind().unwrap_err().contains("tcp://HOST:PORT"));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        for url in [
            "postgres://app:hunter2@db/x",
            "https://h/check?key=hunter2",
            "https://h/check#hunter2",
            "redis://:hunter2@r:6379/0",
            "redis://:hunter2?x@r:6379/0",
            "redis://hunter2:1?x@r:6379/0",
            "redis://hunter2:1/x@r:6379/0",
            "postgres://hunter2:1#x@db/x",
        ] {
            assert!(!target(url).display().contains("hunter2"), "{}", target(url).display());
        }
        assert_eq!(
            target("postgres://d@localhost/x?host=/tmp/s").display(),
            "postgres://localhost/x in /tmp/s"
        );
    }

    #[test]
    fn a_status_or_many_are_expected() {
        let read =
            |text: &str| serde_json::from_str::<ServiceTarget>(text).map(|target| target.expect_status);
        assert_eq!(read(r#"{"name": "a", "url": "http://a", "expect_status": 204}"#).unwrap(), [204]);
        assert_eq!(
            read(r#"{"name": "a", "url": "http://a", "expect_status": [200, 301]}"#).unwrap(),
            [200, 301]
        );
        assert!(read(r#"{"name": "a", "url": "http://a", "expect_status": "2xx"}"#).is_err());
    }
}
