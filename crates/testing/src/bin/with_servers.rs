//! `with-servers [--migrated] COMMAND…`: runs a command with a Postgres and a Redis of its own, and ends with its exit
//! code. They are named in `DOGWATCH_TEST_POSTGRES_URL` and `DOGWATCH_TEST_REDIS_URL`; with `--migrated`, `DATABASE_URL`
//! names a database with all migrations applied.

use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, bail};
use dogwatch_testing::{POSTGRES_URL, REDIS_URL, Servers, TestDatabase};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// What the command has for its own tidying up when we are told to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<ExitCode> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let migrated = words.first().is_some_and(|word| word == "--migrated");
    if migrated {
        words.remove(0);
    }
    let Some((program, arguments)) = words.split_first() else {
        bail!("usage: with-servers [--migrated] COMMAND ARGUMENTS…");
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let told = async {
        tokio::select! {
            _ = interrupt.recv() => Signal::SIGINT,
            _ = terminate.recv() => Signal::SIGTERM,
        }
    };
    tokio::pin!(told);
    let servers = tokio::select! {
        servers = Servers::start() => servers?,
        signal = &mut told => return Ok(ExitCode::from(number(128 + signal as i32))),
    };
    let mut command = Command::new(program);
    command.args(arguments).env(POSTGRES_URL, servers.postgres.url()).env(REDIS_URL, servers.redis.url());
    let database = if migrated { Some(TestDatabase::on(&servers.postgres.url()).await) } else { None };
    if let Some(database) = &database {
        command.env("DATABASE_URL", database.url());
    }
    let child = command.kill_on_drop(true).spawn();
    let mut child = child.with_context(|| format!("cannot run `{program}`"))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        signal = told => stop(&mut child, signal).await?,
    };
    drop(database);
    servers.stop().await;
    Ok(ExitCode::from(number(code(status))))
}

/// Passes the signal on, and kills the command when it takes too long.
async fn stop(child: &mut Child, signal: Signal) -> std::io::Result<ExitStatus> {
    // A terminal sends Ctrl-C to the command as well, and a second one would be an order to hurry.
    let has_it_already = signal == Signal::SIGINT && std::io::stdin().is_terminal();
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.filter(|_| !has_it_already) {
        // Fails when the command is gone, which is what is wanted.
        let _ = kill(Pid::from_raw(pid), signal);
    }
    if let Ok(status) = tokio::time::timeout(STOP_LIMIT, child.wait()).await {
        return status;
    }
    child.start_kill()?;
    child.wait().await
}

/// As a shell says it.
fn code(status: ExitStatus) -> i32 {
    let killed = status.signal().map(|signal| 128 + signal);
    status.code().or(killed).unwrap_or(1)
}

fn number(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(1)
}
