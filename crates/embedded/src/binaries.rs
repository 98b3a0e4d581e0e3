//! Finds the servers' binaries: where `make install-servers` unpacks them, in PATH, where package managers put them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Server;
use crate::account::Account;
use crate::error::EmbeddedError;

const SERVERS_DIR: &str = "DOGWATCH_SERVERS_DIR";
/// Where `dev/install-servers.sh` unpacks them: in the project, or, as root, where the servers' user can enter.
const UNPACKED: [&str; 2] = [".dogwatch/servers", "/var/lib/dogwatch/servers"];
/// Deep enough for the folders of the packages that are unpacked there.
const MAX_DEPTH: usize = 6;
/// Folders with a folder per version of Postgres: Debian, Homebrew (Apple, Intel, Linux), and PGDG's RPMs.
const POSTGRES_PREFIXES: [&str; 5] =
    ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt", "/usr"];
/// Where Redis is when PATH does not tell, as under cron.
const REDIS_FOLDERS: [&str; 4] =
    ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin"];

type Version = (u32, u32);

/// The folder with `postgres` and `initdb`, of version 15 or later; of version `made_by` where there is data already,
/// which no other version reads.
pub(crate) fn postgres(account: Account, made_by: Option<u32>) -> Result<PathBuf, EmbeddedError> {
    let unpacked = unpacked(&["postgres"]);
    // A link in PATH is followed: the other binaries stand beside the real one.
    let in_path = in_path("postgres").filter_map(|binary| binary.canonicalize().ok());
    let installed = POSTGRES_PREFIXES.iter().flat_map(|prefix| versions(Path::new(prefix)));
    let binaries = unpacked.into_iter().chain(in_path).chain(installed.map(|folder| folder.join("postgres")));
    let complete = binaries.filter(|binary| binary.with_file_name("initdb").exists());
    let usable = usable(Server::Postgres, complete, account, |(major, _)| major >= 15)?;
    let fitting = usable.iter().find(|(_, (major, _))| made_by.is_none_or(|made_by| made_by == *major));
    match (fitting, made_by) {
        (Some((binary, _)), _) => Ok(parent(binary)),
        (None, Some(made_by)) if !usable.is_empty() => Err(EmbeddedError::OtherVersion { made_by }),
        (None, _) => Err(EmbeddedError::NotFound {
            server: Server::Postgres,
            looked_for: "`postgres` and `initdb`, version 15 or later",
            how: "`apt install postgresql`, `dnf install postgresql-server` or `brew install postgresql`",
            variable: "DATABASE_URL",
        }),
    }
}

/// A Redis of version 7.0 or later, or a Valkey.
pub(crate) fn redis(account: Account) -> Result<PathBuf, EmbeddedError> {
    let names = ["redis-server", "valkey-server"];
    let installed = REDIS_FOLDERS.map(|folder| names.map(|name| Path::new(folder).join(name)));
    let binaries = unpacked(&names)
        .into_iter()
        .chain(names.into_iter().flat_map(in_path))
        .chain(installed.into_iter().flatten());
    let usable = usable(Server::Redis, binaries, account, |version| version >= (7, 0))?;
    let first = usable.into_iter().next().map(|(binary, _)| binary);
    first.ok_or(EmbeddedError::NotFound {
        server: Server::Redis,
        looked_for: "`redis-server` version 7.0 or later, or `valkey-server`",
        how: "`apt install redis-server`, `dnf install valkey` or `brew install redis`",
        variable: "REDIS_URL",
    })
}

/// Those of a version that will do, in this order. It is an error when some would do but for their permissions.
fn usable(
    server: Server,
    binaries: impl Iterator<Item = PathBuf>,
    account: Account,
    fits: impl Fn(Version) -> bool,
) -> Result<Vec<(PathBuf, Version)>, EmbeddedError> {
    let mut usable = Vec::new();
    let mut closed = None;
    for binary in binaries.filter(|binary| binary.is_file()) {
        // Asked as the servers' user: the only proof that it can run them.
        if let Some(version) = version(account.command(&binary)) {
            usable.extend(fits(version).then_some((binary, version)));
        } else if version(Command::new(&binary)).is_some_and(&fits) {
            closed.get_or_insert(binary);
        }
    }
    match closed {
        Some(binary) if usable.is_empty() => {
            Err(EmbeddedError::Closed { server, binary, uid: account.uid.as_raw() })
        }
        _ => Ok(usable),
    }
}

/// `/usr/lib/postgresql/17/bin` and the like, the newest first.
fn versions(prefix: &Path) -> Vec<PathBuf> {
    let entries = prefix.read_dir().into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let major = folder_version(entry.file_name().to_str()?)?;
            Some((major, entry.path().join("bin")))
        })
        .collect();
    folders.sort();
    folders.into_iter().rev().map(|(_, folder)| folder).collect()
}

/// `17`, `postgresql@17`, `pgsql-17`; Homebrew's `postgresql` is the newest.
fn folder_version(name: &str) -> Option<u32> {
    if name == "postgresql" {
        return Some(u32::MAX);
    }
    let prefixes = ["postgresql@", "pgsql-", ""];
    prefixes.into_iter().find_map(|prefix| name.strip_prefix(prefix)?.parse().ok())
}

fn unpacked(names: &[&str]) -> Vec<PathBuf> {
    let roots =
        std::env::var_os(SERVERS_DIR).map(PathBuf::from).into_iter().chain(UNPACKED.map(PathBuf::from));
    let mut found = Vec::new();
    // Absolute, since a child's working directory may be another one.
    for root in roots.filter_map(|root| root.canonicalize().ok()) {
        search(&root, names, MAX_DEPTH, &mut found);
    }
    found
}

fn search(folder: &Path, names: &[&str], depth: usize, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && depth > 0 {
            search(&path, names, depth - 1, found);
        } else if names.iter().any(|name| entry.file_name() == *name) && path.is_file() {
            found.push(path);
        }
    }
}

fn in_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Not resolved: Debian's `redis-server` is a link, and the program goes by the name it is called with.
    let found: Vec<PathBuf> = std::env::split_paths(&path).map(|folder| folder.join(name)).collect();
    found.into_iter().filter(|binary| binary.is_file())
}

fn parent(binary: &Path) -> PathBuf {
    binary.parent().map(Path::to_owned).unwrap_or_default()
}

/// Major and minor version, as the binary tells.
fn version(mut command: Command) -> Option<Version> {
    let output = command.arg("--version").current_dir("/").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// The first number is the version.
fn parse_version(text: &str) -> Option<Version> {
    let mut numbers = text.split(|c: char| c.is_whitespace() || c == '=').filter_map(|word| {
        let mut parts = word.split(|c: char| !c.is_ascii_digit());
        let major = parts.next()?.parse().ok()?;
        Some((major, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
    });
    numbers.next()
}

#[cfg(test)]
mod tests {
    use super::{folder_version, parse_version};

    #[test]
    fn versions_are_read_from_what_the_servers_print() {
        for (text, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", (15, 18)),
            ("postgres (PostgreSQL) 19beta2", (19, 0)),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", (7, 0)),
            ("Valkey server v=9.1.2 sha=00000000:0", (9, 1)),
        ] {
            assert_eq!(parse_version(text), Some(version), "{text}");
        }
    }

    #[test]
    fn versions_are_read_from_folders() {
        assert_eq!(folder_version("17"), Some(17));
        assert_eq!(folder_version("postgresql@16"), Some(16));
        assert_eq!(folder_version("pgsql-15"), Some(15));
        assert_eq!(folder_version("lib64"), None);
    }
}
