//! What a process that was killed has left running is stopped: then the next server is a child again, and ends with us.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::process::{PAUSE, STOP_LIMIT, signal};

/// Stops the process in the pid file, gently at first, if it works in `home`.
pub(crate) async fn stop(pid_file: &Path, home: &Path, gentle: Signal, firm: Signal) {
    let text = std::fs::read_to_string(pid_file).unwrap_or_default();
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) else {
        return;
    };
    for step in [gentle, firm, Signal::SIGKILL] {
        match place(pid, home) {
            Place::Here => {}
            Place::Elsewhere => {
                // The number is another process's by now, as often in a container. Postgres would take that one for a
                // server on this data, and refuse to start.
                let _ = std::fs::remove_file(pid_file);
                return;
            }
            Place::Unknown => return,
        }
        signal(pid, step);
        let asked = Instant::now();
        while place(pid, home) == Place::Here && asked.elapsed() < STOP_LIMIT {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[derive(PartialEq)]
enum Place {
    Here,
    Elsewhere,
    /// There is no such process, or we may not know.
    Unknown,
}

/// Both servers work in their own folder. Without /proc, their command lines name it.
fn place(pid: u32, home: &Path) -> Place {
    let of = |here: bool| if here { Place::Here } else { Place::Elsewhere };
    if Path::new("/proc/self").exists() {
        let folder = std::fs::read_link(format!("/proc/{pid}/cwd"));
        return folder.map_or(Place::Unknown, |folder| of(folder.starts_with(home)));
    }
    let ps = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    match ps {
        Ok(output) if output.status.success() => {
            of(String::from_utf8_lossy(&output.stdout).contains(&*home.to_string_lossy()))
        }
        _ => Place::Unknown,
    }
}
