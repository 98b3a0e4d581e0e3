//! Ends the processes of a run whose conductor is gone: one that is killed runs no code, and a child that is stopped
//! by SIGSTOP could not notice. A process of its own, in a group of its own, reads from a pipe that closes with the
//! conductor.

use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The conductor's end.
#[derive(Debug)]
pub(crate) struct Guard {
    pipe: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Guard {
    /// Starts it, for processes with the run's folder in their command lines.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("guard").arg(folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start the guard")?;
        let pipe = Mutex::new(child.stdin.take());
        Ok(Self { pipe, child: Mutex::new(child) })
    }

    /// From now on this process ends with the conductor.
    pub(crate) fn watch(&self, pid: u32) {
        if let Some(pipe) = self.pipe.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // Without a guard the run goes on; it only has to end well then.
            let _ = writeln!(pipe, "{pid}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// The guard's own life: reads until the conductor is gone.
pub(crate) fn keep(folder: &Path) {
    let pids: Vec<i32> = std::io::stdin()
        .lock()
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    for pid in pids {
        if is_ours(pid, folder) {
            // Fails when it has ended in the meantime.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The number may belong to another process by now.
fn is_ours(pid: i32, folder: &Path) -> bool {
    let Ok(found) = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output()
    else {
        return false;
    };
    String::from_utf8_lossy(&found.stdout).contains(&*folder.to_string_lossy())
}
