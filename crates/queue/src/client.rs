//! The connection to Redis, and the few facts about it that `doctor` and health checks ask for.
//!
//! A [`Client`] is opened without a connection: Redis may be unavailable when a process starts, and for a
//! while at any time. Every command has a time limit. A connection that was cut is replaced, and the command
//! sent again where that is safe; whether to try again when Redis is unavailable is the caller's decision.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::address::{Address, shown_address};
use crate::error::QueueError;
use crate::keys::{BookKeys, GlobalKeys, QueueKeys};
use crate::link::Link;
use crate::reply::RedisFault;
use crate::scheduler::Book;
use crate::script::{Scripts, Step};
use crate::target::{Connection, Target};

/// How often a process says again that a queue exists; Redis may have lost it.
const ANNOUNCE: Duration = Duration::from_mins(1);

/// How long the key of a probe stays.
const PROBE_MS: u32 = 1_000;

/// A handle on the queues in one Redis. Cheap to clone; all clones share a connection.
#[derive(Clone)]
pub struct Client {
    link: Link,
    scripts: Scripts,
    namespace: Arc<str>,
    display: Arc<str>,
    announced: Arc<Mutex<HashMap<String, Instant>>>,
    accepts_any_certificate: bool,
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
    /// Opens a handle; connects at the first command.
    ///
    /// # Errors
    /// [`QueueError::Url`] when the address is none of Redis.
    pub fn open(url: &str, namespace: &str) -> Result<Self, QueueError> {
        let scripts = Scripts::default();
        Ok(Self {
            link: Link::new(open(url)?, scripts.clone()),
            scripts,
            namespace: namespace.into(),
            display: shown_address(url).into(),
            announced: Arc::default(),
            accepts_any_certificate: Address::parse(url)
                .is_ok_and(|address| address.is_some_and(|address| address.options.accepts_any_certificate)),
        })
    }

    /// The same with other scripts, for tests of what happens without one of their protections.
    #[doc(hidden)]
    #[must_use]
    pub fn with_scripts(self, scripts: Scripts) -> Self {
        Self { link: Link::new(self.link.target().clone(), scripts.clone()), scripts, ..self }
    }

    /// The address without its password.
    pub fn address(&self) -> &str {
        &self.display
    }

    /// Whether the address says that the certificate of Redis is not checked.
    pub fn accepts_any_certificate(&self) -> bool {
        self.accepts_any_certificate
    }

    /// Whether Redis is a cluster.
    pub fn is_cluster(&self) -> bool {
        self.link.target().is_cluster()
    }

    pub(crate) fn connection(&self) -> Link {
        self.link.clone()
    }

    /// A connection of its own, for a command that blocks for up to `wait`.
    pub(crate) async fn blocking(&self, wait: Duration) -> redis::RedisResult<Connection> {
        self.link.target().connect(wait).await
    }

    /// A connection of its own, for what others publish.
    pub(crate) async fn subscribe(&self) -> redis::RedisResult<redis::aio::PubSub> {
        self.link.target().subscribe().await
    }

    /// A step on a queue.
    pub(crate) fn step(&self, step: Step, keys: &QueueKeys) -> redis::ScriptInvocation<'_> {
        self.scripts.on(step, keys)
    }

    /// A step on keys that the caller gives.
    pub(crate) fn plain_step(&self, step: Step) -> redis::ScriptInvocation<'_> {
        self.scripts.plain(step)
    }

    /// Notes that a queue exists, before its first job, so that it is found by those who list queues.
    pub(crate) async fn announce(&self, queue: &str) -> Result<(), QueueError> {
        let known = |announced: &HashMap<String, Instant>| {
            announced.get(queue).is_some_and(|at| at.elapsed() < ANNOUNCE)
        };
        if known(&self.announced.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        redis::cmd("SADD")
            .arg(self.global().queues)
            .arg(queue)
            .query_async::<()>(&mut self.connection())
            .await
            .map_err(QueueError::redis("enqueue"))?;
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.insert(queue.to_owned(), Instant::now());
        Ok(())
    }

    pub(crate) fn queue(&self, name: &str) -> QueueKeys {
        QueueKeys::new(&self.namespace, name)
    }

    pub(crate) fn book(&self, book: &Book) -> BookKeys {
        BookKeys::new(&self.namespace, book.named())
    }

    pub(crate) fn global(&self) -> GlobalKeys {
        GlobalKeys::new(&self.namespace)
    }

    /// Writes a key that expires at once: a Redis that answers may take no writes, since its disk or its
    /// memory is full, replicas are missing, or it is a replica itself.
    ///
    /// # Errors
    /// What Redis said.
    pub async fn check_writes(&self) -> Result<(), QueueError> {
        redis::cmd("SET")
            .arg(self.global().probe)
            .arg(1)
            .arg("PX")
            .arg(PROBE_MS)
            .query_async(&mut self.connection())
            .await
            .map_err(QueueError::redis("write to Redis"))
    }

    /// Redis's clock, in milliseconds since 1970.
    pub async fn time_ms(&self) -> Result<i64, QueueError> {
        let (seconds, micros): (i64, i64) = redis::cmd("TIME")
            .query_async(&mut self.connection())
            .await
            .map_err(QueueError::redis("read the clock of Redis"))?;
        Ok(seconds * 1000 + micros / 1000)
    }

    /// A field of `INFO`, such as `redis_version`, `valkey_version`, `maxmemory_policy` or `aof_enabled`; of a cluster,
    /// its different values.
    pub async fn info(&self, field: &str) -> Result<Option<String>, QueueError> {
        let reading = || QueueError::redis("read INFO of Redis");
        let answer: redis::Value =
            redis::cmd("INFO").query_async(&mut self.connection()).await.map_err(reading())?;
        let nodes: Vec<String> = if self.is_cluster() {
            let nodes: HashMap<String, String> = from_value(answer).map_err(reading())?;
            nodes.into_values().collect()
        } else {
            vec![from_value(answer).map_err(reading())?]
        };
        let prefix = format!("{field}:");
        let of =
            |info: &String| Some(info.lines().find_map(|line| line.strip_prefix(&prefix))?.trim().to_owned());
        let values: BTreeSet<String> = nodes.iter().filter_map(of).collect();
        Ok((!values.is_empty()).then(|| values.into_iter().collect::<Vec<_>>().join(", ")))
    }
}

fn from_value<T: redis::FromRedisValue>(value: redis::Value) -> redis::RedisResult<T> {
    redis::from_redis_value(value).map_err(Into::into)
}

/// Checks any Redis: connect and PING within the time. The error carries no secret.
///
/// # Errors
/// A sentence for people.
pub async fn probe(
    url: &str,
    max_lag_bytes: Option<i64>,
    timeout: Duration,
) -> Result<Option<String>, String> {
    let target = open(url).map_err(|error| error.to_string())?;
    let ask = async {
        let mut connection = target.connect(Duration::ZERO).await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await?;
        match max_lag_bytes {
            Some(_) => {
                redis::cmd("INFO").arg("replication").query_async::<String>(&mut connection).await.map(Some)
            }
            None => Ok(None),
        }
    };
    let info = match tokio::time::timeout(timeout, ask).await {
        Ok(Ok(info)) => info,
        Ok(Err(error)) => return Err(RedisFault::from(error).to_string()),
        Err(_) => return Err(format!("no answer within {} ms", timeout.as_millis())),
    };
    let (Some(info), Some(most)) = (info, max_lag_bytes) else { return Ok(None) };
    lag(&info, most)
}

/// What `INFO replication` says that is not as it should be.
fn lag(info: &str, most: i64) -> Result<Option<String>, String> {
    let value = |key: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    if value("role").as_deref() == Some("slave") {
        if value("master_link_status").as_deref() != Some("up") {
            return Err("the replica has lost its master".to_owned());
        }
        let number = |key: &str| value(key).and_then(|text| text.parse::<i64>().ok());
        let behind =
            number("slave_read_repl_offset").zip(number("slave_repl_offset")).map(|(read, done)| read - done);
        return Ok(behind
            .filter(|behind| *behind > most)
            .map(|behind| format!("the replica is {behind} bytes behind")));
    }
    let master: i64 = value("master_repl_offset").and_then(|text| text.parse().ok()).unwrap_or_default();
    let behind = |line: &str| {
        let (name, state) = line.strip_prefix("slave")?.split_once(':')?;
        let offset: i64 =
            state.split(',').find_map(|part| part.strip_prefix("offset="))?.trim().parse().ok()?;
        (master - offset > most).then(|| format!("replica {name} is {} bytes behind", master - offset))
    };
    Ok(info.lines().find_map(behind))
}

fn open(url: &str) -> Result<Target, QueueError> {
    Target::parse(url).map_err(|reason| QueueError::Url { url: shown_address(url), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_is_behind_or_alone_is_told() {
        let master = "role:master\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=900,lag=0\r\nmaster_repl_offset:1000\r\n";
        assert_eq!(lag(master, 100), Ok(None));
        assert_eq!(lag(master, 99), Ok(Some("replica 0 is 100 bytes behind".to_owned())));
        let replica =
            "role:slave\r\nmaster_link_status:up\r\nslave_read_repl_offset:10\r\nslave_repl_offset:4\r\n";
        assert_eq!(lag(replica, 5), Ok(Some("the replica is 6 bytes behind".to_owned())));
        assert!(lag(&replica.replace(":up", ":down"), 5).is_err());
    }

    #[test]
    fn a_wrong_address_is_named_and_explained() {
        let error = Client::open("postgres://u:secret@h/db", "n").unwrap_err().to_string();
        assert!(error.contains("postgres://***@h/db") && error.contains("redis://HOST:PORT"), "{error}");
        assert!(!error.contains("secret"));
    }
}
