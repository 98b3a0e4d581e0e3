//! The connection to Redis, and the few facts about it that `doctor` and health checks ask for.
//!
//! A [`Client`] is opened without a connection: Redis may be away when a process starts, and may go and come back
//! while it runs. Every command has a time limit; whether to try again is the caller's decision.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncConnectionConfig, IntoConnectionInfo};

use crate::error::QueueError;
use crate::keys::{GlobalKeys, QueueKeys};

/// A command that takes longer has failed. Long enough for a Redis that rewrites its file, short enough to be noticed.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A handle on the queues in one Redis. Cheap to clone; all clones share a connection.
#[derive(Clone)]
pub struct Client {
    redis: redis::Client,
    connection: ConnectionManager,
    namespace: String,
    display: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("redis", &self.display)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Opens a handle; connects at the first command. Within a Tokio runtime.
    ///
    /// # Errors
    /// [`QueueError::Url`] when the address is none of Redis.
    pub fn open(url: &str, namespace: &str) -> Result<Self, QueueError> {
        let redis = open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_lazy_with_config(redis.clone(), config)
            .map_err(|source| QueueError::Url { url: without_password(url), source })?;
        Ok(Self { redis, connection, namespace: namespace.to_owned(), display: without_password(url) })
    }

    /// The address without its password.
    pub fn address(&self) -> &str {
        &self.display
    }

    pub(crate) fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    /// A connection of its own, for a command that blocks for up to `wait`.
    pub(crate) async fn blocking(&self, wait: Duration) -> redis::RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(wait + RESPONSE_TIMEOUT));
        self.redis.get_multiplexed_async_connection_with_config(&config).await
    }

    pub(crate) fn queue(&self, name: &str) -> QueueKeys {
        QueueKeys::new(&self.namespace, name)
    }

    pub(crate) fn global(&self) -> GlobalKeys {
        GlobalKeys::new(&self.namespace)
    }

    /// Redis's clock, in milliseconds since 1970.
    pub async fn time_ms(&self) -> Result<i64, QueueError> {
        let (seconds, micros): (i64, i64) = redis::cmd("TIME")
            .query_async(&mut self.connection())
            .await
            .map_err(QueueError::redis("read the clock of Redis"))?;
        Ok(seconds * 1000 + micros / 1000)
    }

    /// A field of `INFO`, such as `redis_version`, `valkey_version`, `maxmemory_policy` or `aof_enabled`.
    pub async fn info(&self, field: &str) -> Result<Option<String>, QueueError> {
        let info: String = redis::cmd("INFO")
            .query_async(&mut self.connection())
            .await
            .map_err(QueueError::redis("read INFO of Redis"))?;
        let prefix = format!("{field}:");
        Ok(info.lines().find_map(|line| line.strip_prefix(&prefix)).map(|value| value.trim().to_owned()))
    }
}

/// Checks any Redis: connect and PING within the time. The error carries no secret.
///
/// # Errors
/// A sentence for people.
pub async fn probe(url: &str, timeout: Duration) -> Result<(), String> {
    let client = open(url).map_err(|error| error.to_string())?;
    let ping = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    match tokio::time::timeout(timeout, ping).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
    }
}

fn open(url: &str) -> Result<redis::Client, QueueError> {
    let wrong = |source| QueueError::Url { url: without_password(url), source };
    let info = url.into_connection_info().map_err(wrong)?;
    // Nagle's algorithm would hold small commands back for up to 40 ms.
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    redis::Client::open(info.set_tcp_settings(tcp)).map_err(wrong)
}

/// `redis://user:secret@host` becomes `redis://user:***@host`.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned();
    };
    let Some((login, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = login.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:***@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("redis://localhost:6379/1", "redis://localhost:6379/1"),
            ("redis://:hunter2@h:1", "redis://:***@h:1"),
            ("rediss://app:p@ss@h", "rediss://app:***@h"),
            ("default:hunter2@h:6379", "h:6379"),
            ("redis+unix:///run/r.sock?user=u&pass=hunter2", "redis+unix:///run/r.sock"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn a_wrong_address_is_named_and_explained() {
        let error = Client::open("postgres://u:secret@h/db", "n").unwrap_err().to_string();
        assert!(error.contains("postgres://u:***@h/db") && error.contains("redis://HOST:PORT"), "{error}");
        assert!(!error.contains("secret"));
    }
}
