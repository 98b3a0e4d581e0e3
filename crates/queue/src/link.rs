//! Where Redis is, and a connection to it that mends itself.
//!
//! Redis may be a single server, a master that Sentinels name, or a cluster. A [`Link`] connects at the first command
//! and throws its connection away when a command shows that it is of no more use: it was cut, it does not answer
//! within the time limit (a black hole looks like that), or the server has become a replica. The next command connects
//! anew, which with Sentinels asks them who is the master now. Whether to try again is the caller's decision.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, ServerErrorKind, TlsMode, Value,
};

/// A command that takes longer has failed. Long enough for a Redis that rewrites its file, short enough to be noticed.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where Redis is.
#[derive(Clone)]
pub(crate) enum Target {
    /// `redis://`, `rediss://`, `redis+unix://`
    Single(redis::Client),
    /// `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER/DB`
    Sentinel { sentinels: Vec<ConnectionInfo>, master: String, node: ConnectionInfo },
    /// `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT`
    Cluster(ClusterClient),
}

impl Target {
    pub(crate) fn parse(url: &str) -> RedisResult<Self> {
        let Some((scheme, rest)) = url.split_once("://") else { return Self::single(url) };
        let (tls, kind) = match scheme.split_once('+') {
            Some(("redis", kind @ ("sentinel" | "cluster"))) => ("redis", kind),
            Some(("rediss", kind @ ("sentinel" | "cluster"))) => ("rediss", kind),
            _ => return Self::single(url),
        };
        let (login, hosts) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (hosts, path) = hosts.split_once('/').unwrap_or((hosts, ""));
        let (master, db) = path.split_once('/').unwrap_or((path, ""));
        let at = if login.is_empty() { "" } else { "@" };
        let node = |host: &str, db: &str| with_tcp(&format!("{tls}://{login}{at}{host}/{db}"));
        let hosts: Vec<&str> = hosts.split(',').collect();
        if kind == "cluster" {
            let nodes = hosts.iter().map(|host| node(host, "")).collect::<RedisResult<Vec<_>>>()?;
            let client = ClusterClient::builder(nodes)
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(RESPONSE_TIMEOUT)
                .retries(3)
                .build()?;
            return Ok(Self::Cluster(client));
        }
        if master.is_empty() {
            return Err((
                ErrorKind::InvalidClientConfig,
                "the name of the master is missing after the hosts",
            )
                .into());
        }
        // Sentinels themselves are asked without the login of the master.
        let sentinels =
            hosts.iter().map(|host| with_tcp(&format!("{tls}://{host}"))).collect::<RedisResult<_>>()?;
        Ok(Self::Sentinel { sentinels, master: master.to_owned(), node: node(hosts[0], db)? })
    }

    fn single(url: &str) -> RedisResult<Self> {
        Ok(Self::Single(redis::Client::open(with_tcp(url)?)?))
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// A connection on which commands may block for up to `wait`.
    pub(crate) async fn connect(&self, wait: Duration) -> RedisResult<Connection> {
        let timeout = RESPONSE_TIMEOUT + wait;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(timeout));
        Ok(match self {
            Self::Single(client) => {
                Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Self::Sentinel { .. } => Connection::One(
                self.master().await?.get_multiplexed_async_connection_with_config(&config).await?,
            ),
            Self::Cluster(client) => {
                let config = redis::cluster::ClusterConfig::new().set_response_timeout(timeout);
                Connection::Many(client.get_async_connection_with_config(config).await?)
            }
        })
    }

    /// A connection for messages that are published.
    pub(crate) async fn subscribe(&self) -> RedisResult<redis::aio::PubSub> {
        match self {
            Self::Single(client) => client.get_async_pubsub().await,
            Self::Sentinel { .. } => self.master().await?.get_async_pubsub().await,
            Self::Cluster(_) => Err((ErrorKind::InvalidClientConfig, "not in a cluster").into()),
        }
    }

    /// The server that is master now, as the Sentinels have it.
    async fn master(&self) -> RedisResult<redis::Client> {
        let Self::Sentinel { sentinels, master, node } = self else {
            return Err((ErrorKind::InvalidClientConfig, "not behind Sentinels").into());
        };
        let addresses = sentinels.iter().map(|sentinel| sentinel.addr().clone());
        let settings = node.redis_settings();
        let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
            .set_client_to_redis_db(settings.db())
            .set_client_to_redis_tcp_settings(node.tcp_settings().clone())
            .set_client_to_sentinel_tcp_settings(node.tcp_settings().clone());
        if let Some(username) = settings.username() {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if matches!(node.addr(), redis::ConnectionAddr::TcpTls { .. }) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        builder.build()?.async_get_client().await
    }
}

/// Without Nagle's algorithm, which would hold small commands back for up to 40 ms; and what is not acknowledged within
/// the time limit is given up by the kernel too.
fn with_tcp(url: &str) -> RedisResult<ConnectionInfo> {
    let info = url.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true).set_user_timeout(RESPONSE_TIMEOUT);
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

/// A shared connection that mends itself. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link {
    target: Target,
    /// The connection and its number.
    current: Arc<Mutex<(u64, Option<Connection>)>>,
    /// Held by who connects, so that a hundred callers make one connection.
    connecting: Arc<tokio::sync::Mutex<()>>,
}

impl Link {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, current: Arc::default(), connecting: Arc::default() }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Option<Connection>)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<(u64, Connection)> {
        let current = self.lock();
        Some((current.0, current.1.clone()?))
    }

    async fn connected(&self) -> RedisResult<(u64, Connection)> {
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let _turn = self.connecting.lock().await;
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let connection = self.target.connect(Duration::ZERO).await?;
        let mut current = self.lock();
        if current.0 == 0 {
            tokio::spawn(keep_a_timer(Arc::downgrade(&self.current)));
        }
        current.0 += 1;
        current.1 = Some(connection.clone());
        Ok((current.0, connection))
    }

    /// Throws the connection away when the error says that it is of no more use.
    fn heed<T>(&self, number: u64, answer: RedisResult<T>) -> RedisResult<T> {
        if answer.as_ref().is_err_and(is_useless) {
            let mut current = self.lock();
            if current.0 == number {
                current.1 = None;
            }
        }
        answer
    }
}

/// Keeps a timer armed that is earlier than the time limit of any command. Where a command's limit were the earliest of
/// all timers, each command would wake the runtime's driver once more, only to be told of it.
async fn keep_a_timer(current: Weak<Mutex<(u64, Option<Connection>)>>) {
    while current.strong_count() > 0 {
        tokio::time::sleep(RESPONSE_TIMEOUT / 5).await;
    }
}

/// Whether a connection that gave this error is of no more use.
fn is_useless(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) | ErrorKind::Io
        )
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (number, mut connection) = self.connected().await?;
            let answer = connection.req_packed_command(cmd).await;
            // In a script, an error of the server comes as a value of its own.
            self.heed(number, answer.and_then(Value::extract_error))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (number, mut connection) = self.connected().await?;
            let answer = connection.req_packed_commands(pipeline, offset, count).await;
            self.heed(number, answer)
        })
    }

    fn get_db(&self) -> i64 {
        self.current().map_or(0, |(_, connection)| connection.get_db())
    }
}
