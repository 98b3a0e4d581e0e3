//! A private Postgres and a private Redis, for `dogwatch up` and for every test.
//!
//! The servers' own binaries are started as children of this process, on unix sockets in folders that only their user
//! can enter; they touch no server that is there already. Neither runs as root: Postgres refuses to, so that as root
//! both run as an unprivileged user. They stop with this process, and what a killed process has left running is
//! stopped at the next start.

mod account;
mod address;
mod binaries;
mod error;
mod folder;
mod leftover;
mod lock;
mod postgres;
mod process;
mod redis;

use std::fmt;

pub use self::error::EmbeddedError;
pub use self::lock::FolderLock;
pub use self::postgres::{Postgres, PostgresOptions};
pub use self::redis::{Redis, RedisOptions};

/// Told what takes long, as it begins.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Which server something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Postgres 15 or later.
    Postgres,
    /// Redis 7.0 or later, or Valkey.
    Redis,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "Postgres",
            Self::Redis => "Redis",
        })
    }
}

/// The `redis-server` or `valkey-server` that would be started, for who starts it in another way.
///
/// # Errors
/// [`EmbeddedError`], when there is none.
pub fn redis_binary() -> Result<std::path::PathBuf, EmbeddedError> {
    binaries::redis(account::Account::for_servers()?)
}
