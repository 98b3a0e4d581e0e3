//! The Redis of a run: on a port of loopback, with an AOF in the run's folder, to be killed and started again.
//!
//! Not the one of `dogwatch-embedded`: this one has to be told when it writes to disk before its first command, and to
//! sleep on command.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult};

use crate::event::Fsync;
use crate::guard::Guard;

const START_LIMIT: Duration = Duration::from_secs(20);
/// Longer than any fault holds a command back.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];
/// Beside PATH: where packages put it, and where `make install-servers` unpacks it.
const FOLDERS: [&str; 4] =
    ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin"];
const UNPACKED: [&str; 2] = [".dogwatch/servers", "/var/lib/dogwatch/servers"];

/// A Redis; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    fsync: Fsync,
    child: Child,
}

impl Server {
    pub(crate) async fn start(folder: &Path, fsync: Fsync, guard: &Guard) -> Result<Self> {
        let binary = find().context("no redis-server or valkey-server of version 7 or later")?;
        let folder = folder.join("redis");
        std::fs::create_dir_all(&folder)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = launch(&binary, &folder, port, fsync)?;
        guard.watch(child.id());
        let server = Self { binary, folder, port, fsync, child };
        server.ready().await?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        // Fails when it has ended before, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on what it has written.
    pub(crate) async fn restart(&mut self, guard: &Guard) -> Result<()> {
        self.child = launch(&self.binary, &self.folder, self.port, self.fsync)?;
        guard.watch(self.child.id());
        self.ready().await
    }

    async fn ready(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = async {
                let mut connection = connect(self.port).await?;
                redis::cmd("PING").query_async::<String>(&mut connection).await
            };
            match answer.await {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > START_LIMIT => {
                    bail!("Redis does not start: {error}; see {}", self.folder.join("log").display())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection of the run itself, which no proxy is before.
pub(crate) async fn connect(port: u16) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(ANSWER_LIMIT));
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    client.get_multiplexed_async_connection_with_config(&config).await
}

fn launch(binary: &Path, folder: &Path, port: u16, fsync: Fsync) -> Result<Child> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(binary);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"]);
    command.arg("--dir").arg(folder).args(["--save", "", "--appendonly", "yes"]);
    command.args(["--appendfsync", fsync.as_str(), "--maxmemory-policy", "noeviction"]);
    command.args(["--enable-debug-command", "yes", "--set-proc-title", "no"]);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("cannot start {}", binary.display()))
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from)).collect::<Vec<_>>();
    let installed = folders.iter().flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let unpacked = UNPACKED.iter().filter_map(|folder| find_below(&root.join(folder), 6));
    installed.filter(|binary| binary.is_file()).chain(unpacked).next()
}

fn find_below(folder: &Path, depth: u32) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let is_it = |path: &&PathBuf| path.is_file() && NAMES.iter().any(|name| path.ends_with(name));
    let here = entries.iter().find(is_it).cloned();
    here.or_else(|| entries.iter().filter(|_| depth > 0).find_map(|path| find_below(path, depth - 1)))
}
