//! A private Redis, or Valkey.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::account::Account;
use crate::address::percent_encoded;
use crate::error::EmbeddedError;
use crate::folder::Folders;
use crate::lock::FolderLock;
use crate::process::{Readiness, ServerProcess};
use crate::{Server, binaries, leftover};

/// Writes everything. Then: ends without writing; it loses the last second at most.
const SIGNALS: (Signal, Signal) = (Signal::SIGTERM, Signal::SIGKILL);
const PING_LIMIT: Duration = Duration::from_secs(1);

/// How it is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RedisOptions {
    /// Also listen on this port of loopback, for clients that know no unix sockets.
    pub port: Option<u16>,
}

/// A running Redis; ended when dropped.
#[derive(Debug)]
pub struct Redis {
    // Fields are dropped in this order: the folder is free when the server has ended.
    process: ServerProcess,
    launch: Launch,
    _lock: FolderLock,
}

/// All that starting it once more takes.
#[derive(Debug)]
struct Launch {
    binary: PathBuf,
    account: Account,
    folders: Folders,
    options: RedisOptions,
}

impl Redis {
    /// Starts it with its data under `data_dir`. What it acknowledged survives its own death but for the last second
    /// (AOF, `appendfsync everysec`), and it never throws a key away for want of memory.
    ///
    /// # Errors
    /// See [`EmbeddedError`]. When this future is dropped, what it has started ends.
    pub async fn start(data_dir: &Path) -> Result<Self, EmbeddedError> {
        Self::start_with(data_dir, RedisOptions::default()).await
    }

    /// The same, with options.
    pub async fn start_with(data_dir: &Path, options: RedisOptions) -> Result<Self, EmbeddedError> {
        let account = Account::for_servers()?;
        let lock = FolderLock::take_for(data_dir, "redis")?;
        let folders = Folders::prepare(data_dir, "redis", account)?;
        let launch = Launch { binary: binaries::redis(account)?, account, folders, options };
        leftover::stop(&launch.pid_file(), &launch.folders.home, SIGNALS.0, SIGNALS.1).await;
        Ok(Self { process: launch.run().await?, launch, _lock: lock })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", percent_encoded(&self.launch.socket()))
    }

    /// Its address on the port, where it listens on one.
    pub fn tcp_url(&self) -> Option<String> {
        self.launch.options.port.map(|port| format!("redis://127.0.0.1:{port}"))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Writes everything and stops it.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same data and at the same address; kills it first where it still runs.
    pub async fn restart(&mut self) -> Result<(), EmbeddedError> {
        self.process.kill();
        self.process = self.launch.run().await?;
        Ok(())
    }
}

impl Launch {
    fn socket(&self) -> PathBuf {
        self.folders.socket.join("redis.sock")
    }

    fn pid_file(&self) -> PathBuf {
        self.folders.home.join("redis.pid")
    }

    async fn run(&self) -> Result<ServerProcess, EmbeddedError> {
        let (socket, home) = (self.socket(), &self.folders.home);
        let port = self.options.port.unwrap_or(0).to_string();
        let mut command = self.account.command(&self.binary);
        command.args(["--port", &port, "--bind", "127.0.0.1"]);
        command.arg("--unixsocket").arg(&socket).args(["--unixsocketperm", "700"]);
        command.arg("--dir").arg(home).arg("--pidfile").arg(self.pid_file());
        command.args(["--daemonize", "no", "--maxmemory-policy", "noeviction"]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]);
        command.current_dir(home);
        // One that a killed server has left would look like a server that refuses.
        let _ = std::fs::remove_file(&socket);
        let mut process = ServerProcess::start(Server::Redis, command, &self.folders.log, SIGNALS)?;
        process.wait_until(async || ping(&socket).await).await?;
        Ok(process)
    }
}

/// PONG, or LOADING while it reads its data.
async fn ping(socket: &Path) -> Readiness {
    let ask = async {
        let mut stream = BufReader::new(UnixStream::connect(socket).await?);
        stream.write_all(b"PING\r\n").await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match tokio::time::timeout(PING_LIMIT, ask).await {
        Ok(Ok(answer)) if answer.starts_with("+PONG") => Readiness::Ready,
        Ok(Ok(answer)) if answer.starts_with("-LOADING") => Readiness::Loading,
        _ => Readiness::Silent,
    }
}
