//! Where Redis is, and how a connection to it is made.
//!
//! Redis may be a single server, a master that Sentinels name, or a cluster.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline,
    RedisError, RedisFuture, RedisResult, Value,
};

use crate::address::{Address, Kind};
use crate::{sentinel, tls};

/// A command that takes longer has failed. Long enough for a Redis that rewrites its file, short enough to be
/// noticed.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Making a connection takes longer only when the server cannot be reached.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// An idle connection is probed this often: a firewall keeps it open, and one that was cut is noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Time between probes that are not answered, and how many of them may be lost.
const KEEPALIVE_RETRY: (Duration, u32) = (Duration::from_secs(5), 3);

/// Where Redis is.
#[derive(Clone)]
pub(crate) enum Target {
    /// `redis://`, `rediss://`, `redis+unix://`
    Single(ConnectionInfo),
    /// `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER/DB`
    Sentinel(sentinel::Sentinels),
    /// `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT`
    Cluster(ClusterClient),
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence that names what is wrong and holds no secret.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let read = |error: RedisError| crate::reply::RedisFault::from(error).to_string();
        let Some(address) = Address::parse(url)? else {
            return Ok(Self::Single(with_tcp(url).map_err(read)?));
        };
        if address.options.accepts_any_certificate {
            tls::warn_that_certificates_are_not_checked();
        }
        let (hosts, path) = (&address.hosts, address.path);
        let node = |host: &str, db: &str| with_tcp(&address.of_node(host, db)).map_err(read);
        match address.kind {
            Kind::Single => Ok(Self::Single(node(hosts[0], path)?)),
            Kind::Cluster => {
                let nodes = hosts.iter().map(|host| node(host, "")).collect::<Result<Vec<_>, _>>()?;
                let client = ClusterClient::builder(nodes)
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .retries(3)
                    .build();
                Ok(Self::Cluster(client.map_err(read)?))
            }
            Kind::Sentinel => {
                let (master, db) = path.split_once('/').unwrap_or((path, ""));
                let mut sentinels = Vec::with_capacity(hosts.len());
                for host in hosts {
                    sentinels.push(with_tcp(&address.of_sentinel(host)).map_err(read)?);
                }
                let node = node(hosts[0], db)?;
                Ok(Self::Sentinel(sentinel::Sentinels::new(sentinels, master, node, &address.options)))
            }
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// A connection on which commands may block for up to `wait`.
    pub(crate) async fn connect(&self, wait: Duration) -> RedisResult<Connection> {
        let timeout = RESPONSE_TIMEOUT + wait;
        Ok(match self {
            Self::Single(server) => Connection::One(connect(server, timeout).await?),
            Self::Sentinel(sentinels) => Connection::One(sentinels.connect(timeout).await?),
            Self::Cluster(client) => {
                let config = redis::cluster::ClusterConfig::new().set_response_timeout(timeout);
                Connection::Many(client.get_async_connection_with_config(config).await?)
            }
        })
    }

    /// A connection for messages that are published.
    pub(crate) async fn subscribe(&self) -> RedisResult<PubSub> {
        match self {
            Self::Single(server) => subscribe(server).await,
            Self::Sentinel(sentinels) => subscribe(&sentinels.master().await?).await,
            Self::Cluster(_) => Err((ErrorKind::InvalidClientConfig, "not in a cluster").into()),
        }
    }
}

/// Connects to one server. Our own TLS takes certificates that the driver's does not.
pub(crate) async fn connect(
    server: &ConnectionInfo,
    timeout: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(timeout));
    if !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
        let client = redis::Client::open(server.clone())?;
        return client.get_multiplexed_async_connection_with_config(&config).await;
    }
    in_time(async {
        let stream = tls::connect(server).await?;
        let settings = server.redis_settings();
        let (connection, driver) = MultiplexedConnection::new_with_config(settings, stream, config).await?;
        // It ends with the last clone of the connection.
        tokio::spawn(driver);
        Ok(connection)
    })
    .await
}

async fn subscribe(server: &ConnectionInfo) -> RedisResult<PubSub> {
    in_time(async {
        if !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
            return redis::Client::open(server.clone())?.get_async_pubsub().await;
        }
        PubSub::new(server.redis_settings(), tls::connect(server).await?).await
    })
    .await
}

async fn in_time<T>(connecting: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let too_late = |_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(too_late)?
}

/// Without Nagle's algorithm, which would hold small commands back for up to 40 ms; and what is not
/// acknowledged within the time limit is given up by the kernel too.
fn with_tcp(url: &str) -> RedisResult<ConnectionInfo> {
    let info = url.into_connection_info()?;
    let (interval, retries) = KEEPALIVE_RETRY;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(interval).with_retries(retries);
    let tcp = info.tcp_settings().clone();
    let tcp = tcp.set_nodelay(true).set_user_timeout(RESPONSE_TIMEOUT).set_keepalive(keepalive);
    Ok(info.set_tcp_settings(tcp))
}

/// A connection to one server, or to a cluster of them.
#[derive(Clone)]
pub(crate) enum Connection {
    One(MultiplexedConnection),
    Many(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Many(many) => many.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(pipeline, offset, count),
            Self::Many(many) => many.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Many(many) => many.get_db(),
        }
    }
}
