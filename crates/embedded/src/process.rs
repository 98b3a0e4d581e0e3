//! A server as a child process.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;

use crate::Server;
use crate::error::EmbeddedError;

/// Without a sign of life.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Reading much data takes its time.
const LOAD_LIMIT: Duration = Duration::from_mins(10);
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(10);
/// A drop blocks its thread.
const DROP_LIMIT: Duration = Duration::from_secs(2);
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
/// Bytes of a log that go into an error.
const TAIL: usize = 1500;

/// How far a server is.
pub(crate) enum Readiness {
    Ready,
    /// It reads its data, and says so.
    Loading,
    Silent,
}

/// A running server; ended when dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    server: Server,
    child: Child,
    log: PathBuf,
    /// Finish what is running, and stop.
    gentle: Signal,
    /// Stop now.
    firm: Signal,
}

impl ServerProcess {
    /// Starts the command with its output in `log`; the output of the run before stays beside it.
    pub(crate) fn start(
        server: Server,
        mut command: Command,
        log: &Path,
        (gentle, firm): (Signal, Signal),
    ) -> Result<Self, EmbeddedError> {
        // Fails at the first start, when there is none.
        let _ = std::fs::rename(log, log.with_extension("log.1"));
        // Postgres logs statements that fail, with their values.
        let out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(log);
        let out = out.map_err(EmbeddedError::io("write the log", log))?;
        let err = out.try_clone().map_err(EmbeddedError::io("write the log", log))?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.map_err(EmbeddedError::io("start", command.get_program()))?;
        Ok(Self { server, child, log: log.to_owned(), gentle, firm })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it is ready, or says what the log says.
    pub(crate) async fn wait_until(
        &mut self,
        state: impl AsyncFn() -> Readiness,
    ) -> Result<(), EmbeddedError> {
        let started = Instant::now();
        let (mut alive, mut logged) = (started, 0);
        loop {
            let length = self.log.metadata().map_or(0, |log| log.len());
            match state().await {
                Readiness::Ready => return Ok(()),
                Readiness::Loading => alive = Instant::now(),
                Readiness::Silent if length > logged => alive = Instant::now(),
                Readiness::Silent => {}
            }
            logged = length;
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(did_not_start(self.server, format!("it ended with {status}"), &self.log));
            }
            if alive.elapsed() > START_LIMIT || started.elapsed() > LOAD_LIMIT {
                let reason = format!("it was not ready after {} s", started.elapsed().as_secs());
                return Err(did_not_start(self.server, reason, &self.log));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks it to stop, and kills it when it takes too long.
    pub(crate) async fn stop(&mut self) {
        for step in [self.gentle, self.firm] {
            if self.has_ended() {
                return;
            }
            signal(self.child.id(), step);
            let asked = Instant::now();
            while !self.has_ended() && asked.elapsed() < STOP_LIMIT {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.kill();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for ServerProcess {
    /// Not with SIGKILL at once: Postgres would leave its shared memory to the machine.
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        signal(self.child.id(), self.firm);
        let asked = Instant::now();
        while !self.has_ended() && asked.elapsed() < DROP_LIMIT {
            std::thread::park_timeout(PAUSE);
        }
        self.kill();
    }
}

/// Runs a command to its end with this input; kills it when nobody waits for it any more.
pub(crate) async fn run(
    server: Server,
    command: Command,
    input: &str,
    log: &Path,
) -> Result<(), EmbeddedError> {
    let program = PathBuf::from(command.get_program());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(EmbeddedError::io("start", &program))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Fails when the program has ended before it read: then its output says why.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(EmbeddedError::io("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    std::fs::write(log, text).map_err(EmbeddedError::io("write the log", log))?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    Err(did_not_start(server, format!("{name} ended with {}", output.status), log))
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // Fails when the process is gone, which is what is wanted.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn did_not_start(server: Server, reason: String, log: &Path) -> EmbeddedError {
    let text = std::fs::read(log).unwrap_or_default();
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).trim().to_owned();
    EmbeddedError::DidNotStart { server, reason, log: log.to_owned(), tail }
}
