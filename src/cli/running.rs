//! How a second terminal in the same folder finds a running `up`: a file with its addresses in the data folder.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The addresses of a running `up`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) api_url: String,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
}

/// The file; removed when dropped.
#[derive(Debug)]
pub(crate) struct Announcement(PathBuf);

impl Running {
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(file(data_dir)).ok()?).ok()
    }

    /// Writes the file. Only its owner may read it: an address may hold a password.
    pub(crate) fn announce(&self, data_dir: &Path) -> anyhow::Result<Announcement> {
        let (path, fresh) = (file(data_dir), data_dir.join("up.json.new"));
        let write = || -> std::io::Result<()> {
            let _ = std::fs::remove_file(&fresh);
            let mut out =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            out.write_all(&serde_json::to_vec_pretty(self)?)?;
            std::fs::rename(&fresh, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Announcement(path))
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("up.json")
}
