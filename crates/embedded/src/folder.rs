//! Where a server's data and socket are: in the data folder, or elsewhere when the server could not live there.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::EmbeddedError;

/// A socket's whole path may have about 104 bytes; the file's name takes some of them.
const MAX_SOCKET_FOLDER: usize = 80;
/// Where data is whose own folder the servers' user cannot enter. Only root has such a user.
const ELSEWHERE: &str = "/var/lib/dogwatch";

/// The folders of one server.
#[derive(Debug)]
pub(crate) struct Folders {
    /// Data and pid file; the server's own.
    pub(crate) home: PathBuf,
    /// The socket.
    pub(crate) socket: PathBuf,
    /// Its output. Beside `home`, not in it: root must not write where another user could lay a link.
    pub(crate) log: PathBuf,
}

impl Folders {
    /// Makes them. `data_dir` is the folder that the user knows, `name` the server's in it.
    pub(crate) fn prepare(data_dir: &Path, name: &str, account: Account) -> Result<Self, EmbeddedError> {
        std::fs::create_dir_all(data_dir).map_err(EmbeddedError::io("make the folder", data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(EmbeddedError::io("find the folder", data_dir))?;
        let log = data_dir.join(format!("{name}.log"));
        let home = if account.can_enter(&data_dir) {
            data_dir.join(name)
        } else {
            let folder = Path::new(ELSEWHERE).join(short_hash(&data_dir));
            for folder in [Path::new(ELSEWHERE), &folder] {
                make(folder, 0o755)?;
            }
            folder.join(name)
        };
        make(&home, 0o700)?;
        account.own(&home)?;
        let socket = if home.as_os_str().len() <= MAX_SOCKET_FOLDER {
            home.clone()
        } else {
            let folder = short_folder(account).join(format!("dogwatch-{}-{name}", short_hash(&home)));
            claim(&folder, account)?;
            folder
        };
        Ok(Self { home, socket, log })
    }
}

impl Drop for Folders {
    /// What is made in a place for temporary files does not stay; fails while something is in it.
    fn drop(&mut self) {
        if self.socket != self.home {
            let _ = std::fs::remove_dir_all(&self.socket);
        }
    }
}

fn make(folder: &Path, mode: u32) -> Result<(), EmbeddedError> {
    std::fs::create_dir_all(folder).map_err(EmbeddedError::io("make the folder", folder))?;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(folder, permissions)
        .map_err(EmbeddedError::io("set the permissions of the folder", folder))
}

/// A place for temporary files whose name leaves room for the socket's, and which the servers' user can enter.
fn short_folder(account: Account) -> PathBuf {
    let folder = std::env::temp_dir();
    let fits = folder.is_absolute() && folder.as_os_str().len() <= MAX_SOCKET_FOLDER / 2;
    if fits && account.can_enter(&folder) { folder } else { PathBuf::from("/tmp") }
}

/// Makes a folder where everyone can make one: one that is there must be ours already, and no link.
fn claim(folder: &Path, account: Account) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => account.own(folder),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = folder.symlink_metadata().map_err(EmbeddedError::io("look at", folder))?;
            let closed_to_others = found.mode() & 0o777 == 0o700;
            let ours = found.is_dir() && found.uid() == account.uid.as_raw() && closed_to_others;
            let folder = folder.to_owned();
            ours.then_some(()).ok_or(EmbeddedError::NotOurs { folder })
        }
        Err(error) => Err(EmbeddedError::io("make the folder", folder)(error)),
    }
}

/// FNV-1a. The standard library's hash may change with the compiler, and data would not be found again.
fn short_hash(path: &Path) -> String {
    let hash = path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_folder_elsewhere_never_changes() {
        assert_eq!(short_hash(Path::new("a")), "af63dc4c8601ec8c");
    }

    #[test]
    fn a_link_that_somebody_has_laid_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let error = claim(&link, Account::for_servers().unwrap()).unwrap_err();
        assert!(matches!(error, EmbeddedError::NotOurs { .. }), "{error}");
    }
}
