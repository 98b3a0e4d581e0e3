//! Temporary folders for servers, and the watchdog that ends what a dead test process has left in them.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use tempfile::TempDir;

/// A temporary folder that the servers' user can enter. It goes when dropped; and servers in it, too, when this
/// process ends in any other way.
pub(crate) fn guarded() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("dogwatch-").permissions(std::fs::Permissions::from_mode(0o755));
    let folder = builder.tempdir_in(parent()).expect("a temporary folder");
    guard(folder.path());
    folder
}

/// `/tmp` where a TMPDIR is closed to other users, as to the one as whom root starts servers.
fn parent() -> PathBuf {
    let folder = std::env::temp_dir();
    let is_open = |folder: &Path| folder.metadata().is_ok_and(|found| found.permissions().mode() & 1 != 0);
    let open = folder.is_absolute() && folder.ancestors().all(is_open);
    if open { folder } else { PathBuf::from("/tmp") }
}

/// Reads folders until this process is gone: statics are never dropped, and a process that is killed runs no code, but
/// either way its end of the pipe closes. A folder that is not there any more has been tidied up by its owner.
const WATCHDOG: &str = r#"
    folders=$(cat)
    command_line() { tr '\0' ' ' < "/proc/$1/cmdline" 2>/dev/null || ps -o command= -p "$1"; }
    runs() { case "$(command_line "$1")" in *"$2"*) true ;; *) false ;; esac; }
    printf '%s\n' "$folders" | while read -r folder; do
        [ -n "$folder" ] && [ -d "$folder" ] || continue
        for file in "$folder/postgres/data/postmaster.pid" "$folder/redis/redis.pid"; do
            [ -f "$file" ] && read -r pid < "$file" && runs "$pid" "$folder" || continue
            kill -INT "$pid"
            tries=0
            while runs "$pid" "$folder" && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
            if runs "$pid" "$folder"; then kill -KILL "$pid"; fi
        done
        rm -rf "$folder"
    done
"#;

fn guard(folder: &Path) {
    // With the child, which nobody waits for: it is to be there when this process is not.
    static WATCHDOG_PROCESS: LazyLock<Mutex<Child>> = LazyLock::new(|| Mutex::new(start_watchdog()));
    let mut child = WATCHDOG_PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = child.stdin.as_mut().expect("its pipe");
    writeln!(pipe, "{}", folder.display()).expect("a watchdog that listens");
}

fn start_watchdog() -> Child {
    let mut command = Command::new("sh");
    // In a group of its own, so that Ctrl-C does not end it before its work.
    command.args(["-c", WATCHDOG]).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a watchdog")
}
