//! As whom the servers run: as ourselves, or, when we are root, as an unprivileged user.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User};

use crate::error::EmbeddedError;

/// What a server gets of our environment. The rest may hold secrets, and everything that starts with `PG` would
/// configure Postgres behind our back.
const ENVIRONMENT: [&str; 6] = ["PATH", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// A user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) uid: Uid,
    gid: Gid,
    /// Whether it is another than ours.
    switch: bool,
}

impl Account {
    pub(crate) fn for_servers() -> Result<Self, EmbeddedError> {
        let own = Uid::effective();
        if !own.is_root() {
            return Ok(Self { uid: own, gid: Gid::effective(), switch: false });
        }
        let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = user.ok_or(EmbeddedError::NoUser)?;
        Ok(Self { uid: user.uid, gid: user.gid, switch: true })
    }

    /// A command that runs as this user, in a process group of its own, so that Ctrl-C reaches us first.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().process_group(0);
        command.envs(ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        if self.switch {
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    pub(crate) fn own(self, path: &Path) -> Result<(), EmbeddedError> {
        if self.switch {
            let failed = EmbeddedError::io("give to the servers' user", path);
            nix::unistd::chown(path, Some(self.uid), Some(self.gid)).map_err(|error| failed(error.into()))?;
        }
        Ok(())
    }

    /// Whether this user can come through all folders above and including `folder`.
    pub(crate) fn can_enter(self, folder: &Path) -> bool {
        !self.switch
            || folder.ancestors().all(|folder| match folder.metadata() {
                Ok(metadata) => metadata.mode() & self.enter_bit(&metadata) != 0,
                // Not there yet: we shall make it.
                Err(_) => true,
            })
    }

    /// The one bit of a folder's mode that counts for this user.
    fn enter_bit(self, metadata: &std::fs::Metadata) -> u32 {
        if metadata.uid() == self.uid.as_raw() {
            0o100
        } else if metadata.gid() == self.gid.as_raw() {
            0o010
        } else {
            0o001
        }
    }
}
