//! Peers in other languages: folders with packages from `PyPI` or npm, each made once and kept between runs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

const INSTALL_LIMIT: Duration = Duration::from_mins(5);

/// Makes the folder by `make`, unless it was made before of just these `parts`.
///
/// Tests run in processes of their own: one makes it, the others wait.
pub async fn made_once(folder: &Path, parts: &str, make: impl AsyncFnOnce()) {
    let lock = File::create(folder.with_extension("lock")).expect("a lock beside the folder");
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock));
    let _locked = locked.await.expect("a lock").expect("a lock");
    let complete = folder.join("complete");
    if std::fs::read_to_string(&complete).is_ok_and(|made_of| made_of == parts) {
        return;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("the folder can be removed");
    }
    std::fs::create_dir(folder).expect("a folder");
    make().await;
    std::fs::write(complete, parts).expect("the folder is there");
}

/// The `bin` of an environment in this folder, with these packages in pip's words.
pub async fn python_with(folder: &Path, packages: &[&str]) -> PathBuf {
    let bin = folder.join("bin");
    made_once(folder, &packages.join("\n"), async || {
        install(Command::new("python3").args(["-m", "venv"]).arg(folder)).await;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        install(Command::new(bin.join("python")).args(pip).args(packages)).await;
    })
    .await;
    bin
}

/// Runs a command to its end, and tells what it said where that is a failure.
pub async fn install(command: &mut Command) {
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(INSTALL_LIMIT, command.output()).await;
    let output = output.expect("it ends in time").expect("it can be started");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}\n{}", said(&output.stdout), said(&output.stderr));
}
