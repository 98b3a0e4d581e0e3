//! Finds the master that Sentinels name.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind};

use crate::address::Options;
use crate::reply::RedisFault;
use crate::target::connect;

/// One Sentinel of several may be unreachable; the next one is asked then.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Sentinels, and the master that they watch.
#[derive(Clone)]
pub(crate) struct Sentinels {
    addresses: Vec<ConnectionInfo>,
    master: String,
    /// Login, database, TLS and TCP settings of the master; its address is that of a Sentinel until it is
    /// known.
    node: ConnectionInfo,
}

impl Sentinels {
    /// Sentinels have a login of their own: the one of the master is not sent to them.
    pub(crate) fn new(
        sentinels: Vec<ConnectionInfo>,
        master: &str,
        node: ConnectionInfo,
        options: &Options<'_>,
    ) -> Self {
        let with_login = |sentinel: ConnectionInfo| {
            let mut settings = sentinel.redis_settings().clone();
            if let Some(username) = &options.sentinel_username {
                settings = settings.set_username(username);
            }
            if let Some(password) = &options.sentinel_password {
                settings = settings.set_password(password);
            }
            sentinel.set_redis_settings(settings)
        };
        let addresses = sentinels.into_iter().map(with_login).collect();
        Self { addresses, master: master.to_owned(), node }
    }

    /// Connects to the master.
    pub(crate) async fn connect(&self, timeout: Duration) -> RedisResult<MultiplexedConnection> {
        let mut connection = connect(&self.master().await?, timeout).await?;
        // After a failover, Sentinels may name the old master for a moment.
        let info: RedisResult<String> =
            redis::cmd("INFO").arg("replication").query_async(&mut connection).await;
        if info.is_ok_and(|info| info.lines().any(|line| line.trim() == "role:slave")) {
            let reason = "the server that the Sentinels name as master is a replica";
            return Err((ErrorKind::Server(ServerErrorKind::ReadOnly), reason).into());
        }
        Ok(connection)
    }

    /// The server that is the master now, as the first Sentinel that answers has it.
    pub(crate) async fn master(&self) -> RedisResult<ConnectionInfo> {
        let mut failed = None;
        for sentinel in &self.addresses {
            match tokio::time::timeout(TIMEOUT, self.ask(sentinel)).await {
                Ok(Ok(master)) => return Ok(self.node.clone().set_addr(master)),
                Ok(Err(error)) => failed = Some(described(sentinel, error)),
                Err(_) => {
                    let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                    failed = Some(described(sentinel, late.into()));
                }
            }
        }
        let none = || (ErrorKind::InvalidClientConfig, "no Sentinel is named").into();
        Err(failed.unwrap_or_else(none))
    }

    async fn ask(&self, sentinel: &ConnectionInfo) -> RedisResult<ConnectionAddr> {
        let mut connection = connect(sentinel, TIMEOUT).await?;
        let master: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.master)
            .query_async(&mut connection)
            .await?;
        let Some((host, port)) = master else {
            let reason = "it watches no master of this name";
            return Err((ErrorKind::MasterNameNotFoundBySentinel, reason, self.master.clone()).into());
        };
        Ok(match self.node.addr() {
            ConnectionAddr::TcpTls { insecure, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host, port),
        })
    }
}

/// The same error, which says that a Sentinel is what it is about.
fn described(sentinel: &ConnectionInfo, error: RedisError) -> RedisError {
    let kind = match error.kind() {
        ErrorKind::Extension => ErrorKind::AuthenticationFailed,
        kind => kind,
    };
    let detail = format!("{}: {}", sentinel.addr(), RedisFault::from(error));
    (kind, "a Sentinel does not name the master", detail).into()
}
