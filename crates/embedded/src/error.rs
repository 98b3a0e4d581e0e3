//! Why a private server could not be started, and what helps.

use std::io;
use std::path::PathBuf;

use crate::Server;

/// Why a private server could not be started. Display does not repeat the source: print the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No binary, or none that is new enough.
    #[error(
        "{server} was not found ({looked_for}); run `make install-servers`, or install it: {how}; \
         or set {variable} to a server of yours"
    )]
    NotFound {
        /// Which.
        server: Server,
        /// Names and versions that would do.
        looked_for: &'static str,
        /// Commands for package managers.
        how: &'static str,
        /// The variable that names a server instead.
        variable: &'static str,
    },
    /// The server has ended, or does not accept connections.
    #[error("{server} did not start: {reason}; its log `{log}` ends with:\n{tail}")]
    DidNotStart {
        /// Which.
        server: Server,
        /// Ended, or took too long.
        reason: String,
        /// Where its log is.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// Another process works in this folder.
    #[error("`{folder}` is in use by process {pid}; stop it, or take another folder with `--data-dir`")]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        pid: String,
    },
    /// A binary is there, and the user that the servers run as cannot run it.
    #[error(
        "{server} is at `{binary}`, but user {uid}, as whom it runs since we are root, cannot run it there; \
         give that user access, or set `DOGWATCH_SERVERS_DIR` to a folder that it can enter"
    )]
    Closed {
        /// Which.
        server: Server,
        /// Where it is.
        binary: PathBuf,
        /// Who cannot run it.
        uid: u32,
    },
    /// The data was made by a version of Postgres that is not there any more.
    #[error(
        "the data folder was made by Postgres {made_by}, and only other versions are installed; \
         install that version, or move the data with `pg_upgrade`"
    )]
    OtherVersion {
        /// The major version.
        made_by: u32,
    },
    /// A folder for sockets is there, and is not ours.
    #[error("`{folder}` belongs to somebody else; remove it, or take a data folder with a shorter name")]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// As root, an unprivileged user is needed.
    #[error("as root, the servers run as user `postgres` or `nobody`, and this machine has neither")]
    NoUser,
    /// A file or folder could not be used.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl EmbeddedError {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
