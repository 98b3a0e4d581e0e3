//! Both servers for real: start from nothing, stop without a trace, go on with the same data.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod leftover;
mod places;
mod postgres;
mod redis;

use std::path::Path;
use std::process::Command;

use dogwatch_embedded::{Postgres, PostgresOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const FAST: PostgresOptions = PostgresOptions { durable: false, max_connections: 20, settings: &[] };

/// A folder with a short name that everyone can enter, as a project's is.
fn folder() -> TempDir {
    folder_with_mode(0o755)
}

fn folder_with_mode(mode: u32) -> TempDir {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    tempfile::Builder::new().permissions(permissions).tempdir_in("/tmp").unwrap()
}

/// Processes whose command line names the folder.
fn processes_in(folder: &Path) -> usize {
    let folder = folder.canonicalize().unwrap();
    let all = Command::new("ps").args(["-eo", "args="]).output().unwrap();
    let text = String::from_utf8_lossy(&all.stdout).into_owned();
    text.lines().filter(|line| line.contains(&*folder.to_string_lossy())).count()
}

fn socket_of(redis_url: &str) -> &Path {
    Path::new(redis_url.strip_prefix("redis+unix://").unwrap())
}

/// One command, and the answer as it comes over the wire.
async fn ask_redis(url: &str, command: &str) -> String {
    let mut stream = UnixStream::connect(socket_of(url)).await.unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// One statement through the `psql` beside the server's binary, or the one in PATH.
fn ask_postgres(server: &Postgres, statement: &str) -> String {
    let binary = std::fs::read_link(format!("/proc/{}/exe", server.id())).unwrap_or_default();
    let beside = binary.with_file_name("psql");
    let psql = if beside.exists() { &beside } else { Path::new("psql") };
    let output = Command::new(psql)
        .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", statement])
        .arg(server.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
