//! A private Postgres.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::address::percent_encoded;
use crate::error::EmbeddedError;
use crate::folder::Folders;
use crate::lock::FolderLock;
use crate::process::{self, Readiness, ServerProcess};
use crate::{Progress, Server, binaries, leftover};

/// The superuser and the database.
const NAME: &str = "dogwatch";
/// Part of the socket's name. Said aloud, since PGPORT would change it for the server and for clients.
const PORT: &str = "5432";
/// Ends all sessions, writes everything. Then: ends without writing, and recovers at the next start.
const SIGNALS: (Signal, Signal) = (Signal::SIGINT, Signal::SIGQUIT);

/// How it is run.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// False: faster, and lost with the machine. For tests.
    pub durable: bool,
    /// Connections it accepts.
    pub max_connections: u32,
    /// More of its settings, such as `shared_preload_libraries=pg_stat_statements`.
    pub settings: &'static [&'static str],
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { durable: true, max_connections: 100, settings: &[] }
    }
}

/// A running Postgres; ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    // Fields are dropped in this order: the folder is free when the server has ended.
    process: ServerProcess,
    folders: Folders,
    _lock: FolderLock,
}

impl Postgres {
    /// Starts it with its data under `data_dir`, which is made and filled at the first time.
    ///
    /// # Errors
    /// See [`EmbeddedError`]. When this future is dropped, what it has started ends.
    pub async fn start(
        data_dir: &Path,
        options: PostgresOptions,
        progress: Progress<'_>,
    ) -> Result<Self, EmbeddedError> {
        let account = Account::for_servers()?;
        let lock = FolderLock::take_for(data_dir, "postgres")?;
        let folders = Folders::prepare(data_dir, "postgres", account)?;
        let home = &folders.home;
        let data = home.join("data");
        let binaries = binaries::postgres(account, version_of(&data))?;
        let pid_file = data.join("postmaster.pid");
        leftover::stop(&pid_file, home, SIGNALS.0, SIGNALS.1).await;
        if !data.exists() {
            progress("initdb: making a database cluster");
            initialise(&binaries, &folders, &data, options, account).await?;
        }
        let mut command = account.command(&binaries.join("postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(&folders.socket).args(["-p", PORT]);
        let connections = format!("max_connections={}", options.max_connections);
        let always = ["listen_addresses=", &connections, "timezone=UTC", "log_timezone=UTC"];
        // Autovacuum would hold a test's database at the moment when it is cloned or dropped.
        let not_durable = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off"];
        let settings =
            always.iter().chain(not_durable.iter().filter(|_| !options.durable)).chain(options.settings);
        for setting in settings {
            command.args(["-c", setting]);
        }
        command.current_dir(home);
        let mut process = ServerProcess::start(Server::Postgres, command, &folders.log, SIGNALS)?;
        let pid = process.id().to_string();
        process.wait_until(async || readiness(&pid_file, &pid)).await?;
        Ok(Self { process, folders, _lock: lock })
    }

    /// Its address.
    pub fn url(&self) -> String {
        let folder = percent_encoded(&self.folders.socket);
        format!("postgres://{NAME}@localhost:{PORT}/{NAME}?host={folder}")
    }

    /// The process id of the postmaster.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends all sessions and stops it.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }

    /// `kill -9` of the postmaster; its children end by themselves.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// The major version of the Postgres that has made the data.
fn version_of(data: &Path) -> Option<u32> {
    std::fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// initdb into a folder that is renamed when all is done, so that an interrupted one leaves nothing half made.
async fn initialise(
    binaries: &Path,
    folders: &Folders,
    data: &Path,
    options: PostgresOptions,
    account: Account,
) -> Result<(), EmbeddedError> {
    let home = &folders.home;
    let fresh = home.join("data.new");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(EmbeddedError::io("remove", &fresh))?;
    }
    let mut initdb = account.command(&binaries.join("initdb"));
    initdb
        .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", NAME, "-D"])
        .arg(&fresh)
        .current_dir(home);
    if !options.durable {
        initdb.arg("--no-sync");
    }
    process::run(Server::Postgres, initdb, "", &folders.log).await?;

    // In single-user mode, which needs neither a client nor a running server.
    let mut single = account.command(&binaries.join("postgres"));
    single.args(["--single", "-D"]).arg(&fresh).arg("postgres").current_dir(home);
    let create = format!("CREATE DATABASE {NAME};\n");
    process::run(Server::Postgres, single, &create, &folders.log).await?;
    std::fs::rename(&fresh, data).map_err(EmbeddedError::io("rename", &fresh))
}

/// The postmaster writes its pid in the first line of its file and `ready` in the eighth, when it accepts connections.
fn readiness(pid_file: &Path, pid: &str) -> Readiness {
    let text = std::fs::read_to_string(pid_file).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    if lines.next() == Some(pid) && lines.nth(6) == Some("ready") {
        Readiness::Ready
    } else {
        Readiness::Silent
    }
}
