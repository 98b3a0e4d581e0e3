//! One process per data folder.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::error::EmbeddedError;

/// Held as long as it lives; the system gives it up when the process ends, however that happens.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder.
    ///
    /// # Errors
    /// [`EmbeddedError::InUse`] with the process that has it.
    pub fn take(folder: &Path) -> Result<Self, EmbeddedError> {
        Self::take_file(folder, "lock")
    }

    /// Takes one server's part of the folder, so that nobody takes a server for a leftover that is in use.
    pub(crate) fn take_for(folder: &Path, server: &str) -> Result<Self, EmbeddedError> {
        Self::take_file(folder, &format!("{server}.lock"))
    }

    fn take_file(folder: &Path, name: &str) -> Result<Self, EmbeddedError> {
        std::fs::create_dir_all(folder).map_err(EmbeddedError::io("make the folder", folder))?;
        let path = folder.join(name);
        // Who can open it can hold it.
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let open = open.and_then(|file| {
            file.set_permissions(Permissions::from_mode(0o600))?;
            Ok(file)
        });
        let mut file = open.map_err(EmbeddedError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = std::fs::read_to_string(&path).unwrap_or_default();
                return Err(EmbeddedError::InUse { folder: folder.to_owned(), pid: pid.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(EmbeddedError::io("lock", &path)(error)),
        }
        let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        write.map_err(EmbeddedError::io("write", &path))?;
        Ok(Self { _file: file })
    }
}
