//! Who owns this machine's Dogwatch, as long as no key was ever made: whoever can read a file in its data folder, which is
//! for its owner alone. A browser cannot read files; it signs in with a link that works once.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::secret::{SessionToken, is_same};

/// The file, as `curl -H @FILE` reads it.
const FILE: &str = "authorization";
const LINE: &str = "Authorization: Bearer ";
/// How a token begins; keys begin in another way.
const PREFIX: &str = "dwl_";
/// How long a link works.
const CODE_LENGTH: TimeDelta = TimeDelta::hours(12);
/// Codes, and sessions, that are remembered.
const MOST: usize = 50;

/// The owner's ways in.
#[derive(Debug)]
pub struct LocalAccess {
    token: SecretString,
    file: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Hashes, and when they end.
    codes: HashMap<Vec<u8>, DateTime<Utc>>,
    sessions: HashMap<Vec<u8>, DateTime<Utc>>,
}

impl LocalAccess {
    /// With the token in this folder; made when there is none.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(data_dir: &Path) -> std::io::Result<Self> {
        let file = data_dir.join(FILE);
        let token = match read(&file)? {
            Some(token) => token,
            None => make(data_dir, &file)?,
        };
        Ok(Self { token, file, known: Mutex::default() })
    }

    /// Where the token is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether this is the token. Takes as long whatever it is.
    pub(super) fn is_token(&self, text: &str) -> bool {
        is_same(text, self.token.expose_secret())
    }

    /// A code with which one browser signs in, once.
    pub fn new_code(&self, now: DateTime<Utc>) -> SessionToken {
        let code = SessionToken::random();
        remember(&mut self.known().codes, code.sha256(), now + CODE_LENGTH, now);
        code
    }

    /// Uses a code up. False when it is none, was used, or has ended.
    pub fn use_code(&self, code: &SessionToken, now: DateTime<Utc>) -> bool {
        self.known().codes.remove(&code.sha256()).is_some_and(|ends_at| now < ends_at)
    }

    /// Begins the session of a browser.
    pub fn begin_session(&self, token: &SessionToken, ends_at: DateTime<Utc>, now: DateTime<Utc>) {
        remember(&mut self.known().sessions, token.sha256(), ends_at, now);
    }

    pub(super) fn is_session(&self, token: &SessionToken, now: DateTime<Utc>) -> bool {
        self.known().sessions.get(&token.sha256()).is_some_and(|ends_at| now < *ends_at)
    }

    pub(super) fn end_session(&self, token: &SessionToken) {
        self.known().sessions.remove(&token.sha256());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token in this folder, for the command line; `None` when there is none, or it is another user's.
pub fn token_in(data_dir: &Path) -> Option<SecretString> {
    read(&data_dir.join(FILE)).ok().flatten()
}

fn read(file: &Path) -> std::io::Result<Option<SecretString>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().strip_prefix(LINE).map(Into::into)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whole or not at all; two processes that begin at once come to the same one.
fn make(data_dir: &Path, file: &Path) -> std::io::Result<SecretString> {
    fs::create_dir_all(data_dir)?;
    let text = format!("{LINE}{PREFIX}{}\n", SessionToken::random().expose());
    let fresh = data_dir.join(format!("{FILE}.{}", &SessionToken::random().expose()[..16]));
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh);
    written.and_then(|mut written| written.write_all(text.as_bytes()))?;
    let linked = match fs::hard_link(&fresh, file) {
        // A file system without links: then the last one is it.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => fs::rename(&fresh, file),
        _ => fs::remove_file(&fresh),
    };
    linked?;
    read(file)?.ok_or_else(|| std::io::Error::new(ErrorKind::InvalidData, "it holds no token; remove it"))
}

fn remember(
    known: &mut HashMap<Vec<u8>, DateTime<Utc>>,
    sha256: Vec<u8>,
    ends_at: DateTime<Utc>,
    now: DateTime<Utc>,
) {
    known.retain(|_, ends_at| now < *ends_at);
    if known.len() >= MOST
        && let Some(first) =
            known.iter().min_by_key(|(_, ends_at)| **ends_at).map(|(sha256, _)| sha256.clone())
    {
        known.remove(&first);
    }
    known.insert(sha256, ends_at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let opening: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| LocalAccess::open(folder.path()).unwrap().token.expose_secret().to_owned())
                })
                .collect();
            opening.into_iter().map(|opened| opened.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0] && token.starts_with(PREFIX)));
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(token_in(folder.path()).unwrap().expose_secret(), tokens[0]);
        assert!(LocalAccess::open(folder.path()).unwrap().is_token(&tokens[0]));
    }

    #[test]
    fn a_code_is_used_once_and_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let access = LocalAccess::open(folder.path()).unwrap();
        let now = DateTime::UNIX_EPOCH;
        let code = access.new_code(now);
        assert!(access.use_code(&code, now) && !access.use_code(&code, now));
        let late = access.new_code(now);
        assert!(!access.use_code(&late, now + CODE_LENGTH));
        for _ in 0..200 {
            access.new_code(now);
        }
        assert_eq!(access.known().codes.len(), MOST);
    }
}
