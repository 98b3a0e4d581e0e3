//! The processes of a run: started, killed, paused, continued and stopped, each of which is written down.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::event::{Change, What};
use crate::guard::Guard;
use crate::ledger::Ledger;

/// Who is told to stop has so long: its time to drain, and the longest wait for an answer of Redis.
const STOP: Duration = Duration::from_secs(20);

const SIGTERM: i32 = Signal::SIGTERM as i32;

/// Opens the API of a run.
pub(crate) const OWNER: &str = "dwl_chaos";

/// All processes of the system under test.
pub(crate) struct Fleet {
    program: PathBuf,
    folder: PathBuf,
    ledger: Arc<Ledger>,
    guard: Arc<Guard>,
    places: Mutex<BTreeMap<String, Place>>,
}

/// A place is taken by one process after another.
struct Place {
    /// Absent: this program once more, which is told its name and where its ledger is.
    program: Option<PathBuf>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    starts: u32,
    running: Option<Running>,
}

struct Running {
    name: String,
    pid: u32,
    child: Child,
}

impl Fleet {
    pub(crate) fn new(
        program: PathBuf,
        folder: PathBuf,
        ledger: Arc<Ledger>,
        guard: Arc<Guard>,
    ) -> std::io::Result<Self> {
        // What the owner of the folder shows to the API.
        let data = folder.join(".dogwatch");
        std::fs::create_dir_all(&data)?;
        std::fs::write(data.join("authorization"), format!("Authorization: Bearer {OWNER}\n"))?;
        Ok(Self { program, folder, ledger, guard, places: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, process: &str, pid: u32, change: Change) {
        self.ledger.write(What::Process { process: process.to_owned(), pid, change });
    }

    /// Says what runs at a place; not yet started.
    pub(crate) fn assign(&self, place: &str, arguments: Vec<String>, variables: Vec<(String, String)>) {
        let vacant = Place { program: None, arguments, variables, starts: 0, running: None };
        self.lock().insert(place.to_owned(), vacant);
    }

    /// The same of another program, which keeps no ledger.
    pub(crate) fn assign_program(
        &self,
        place: &str,
        program: PathBuf,
        arguments: Vec<String>,
        variables: Vec<(String, String)>,
    ) {
        let vacant = Place { program: Some(program), arguments, variables, starts: 0, running: None };
        self.lock().insert(place.to_owned(), vacant);
    }

    /// Starts the next process of a place.
    pub(crate) fn start(&self, place: &str) -> Result<()> {
        let mut places = self.lock();
        let at = places.get_mut(place).with_context(|| format!("there is no place `{place}`"))?;
        at.starts += 1;
        let name = format!("{place}.{}", at.starts);
        let errors = std::fs::File::create(self.folder.join(&name).with_added_extension("stderr"))?;
        let mut command = Command::new(at.program.as_ref().unwrap_or(&self.program));
        command.args(&at.arguments).current_dir(&self.folder);
        if at.program.is_none() {
            command.arg("--dir").arg(&self.folder).args(["--name", &name]);
        }
        // Jobs panic by the hundred.
        command.env("RUST_BACKTRACE", "0").envs(at.variables.iter().cloned());
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().context("cannot start a process")?;
        let pid = child.id().context("it has ended at once")?;
        self.guard.watch(pid);
        self.note(&name, pid, Change::Started);
        at.running = Some(Running { name, pid, child });
        Ok(())
    }

    /// The name of the process at a place.
    pub(crate) fn name_at(&self, place: &str) -> Option<String> {
        Some(self.lock().get(place)?.running.as_ref()?.name.clone())
    }

    /// All that run: name and pid.
    pub(crate) fn running(&self) -> Vec<(String, u32)> {
        let places = self.lock();
        places.values().filter_map(|at| at.running.as_ref()).map(|it| (it.name.clone(), it.pid)).collect()
    }

    fn take(&self, place: &str) -> Option<Running> {
        self.lock().get_mut(place)?.running.take()
    }

    /// `kill -9`.
    pub(crate) async fn kill(&self, place: &str) -> Option<String> {
        let mut running = self.take(place)?;
        // Fails when it has ended before, which is what is wanted.
        let _ = running.child.kill().await;
        self.note(&running.name, running.pid, Change::Killed);
        Some(running.name)
    }

    /// Stops the process at a place in the middle of whatever it does.
    pub(crate) fn pause(&self, place: &str) -> Option<String> {
        let name = self.signal(place, Signal::SIGSTOP)?;
        self.note(&name.0, name.1, Change::Paused);
        Some(name.0)
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self, place: &str) {
        if let Some((name, pid)) = self.signal(place, Signal::SIGCONT) {
            self.note(&name, pid, Change::Continued);
        }
    }

    fn signal(&self, place: &str, signal: Signal) -> Option<(String, u32)> {
        let places = self.lock();
        let running = places.get(place)?.running.as_ref()?;
        send(running.pid, signal);
        Some((running.name.clone(), running.pid))
    }

    /// Tells the process at a place to stop, and waits until it has.
    pub(crate) async fn stop(&self, place: &str) {
        let Some(mut running) = self.take(place) else { return };
        send(running.pid, Signal::SIGTERM);
        let change = match tokio::time::timeout(STOP, running.child.wait()).await {
            // Who was told before it could listen has done nothing yet.
            Ok(Ok(status)) if status.success() || status.signal() == Some(SIGTERM) => Change::Stopped,
            _ => Change::Died,
        };
        // Fails when it has ended, which is the rule.
        let _ = running.child.kill().await;
        self.note(&running.name, running.pid, change);
    }

    /// Notes the processes that have ended though nobody had told them to.
    pub(crate) fn look(&self) {
        for at in self.lock().values_mut() {
            let ended = at.running.as_mut().is_some_and(|it| !matches!(it.child.try_wait(), Ok(None)));
            if let Some(running) = at.running.take_if(|_| ended) {
                self.note(&running.name, running.pid, Change::Died);
            }
        }
    }
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // Fails when it has ended by itself, which is noticed elsewhere.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}
