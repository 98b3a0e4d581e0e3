//! What keys open, remembered for some seconds: a request asks Postgres for nothing, and a key that is revoked opens nothing
//! some seconds later, in each process. While Postgres is away, what was known stands.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_queue::{Clock, LogLimit, error_chain};
use dogwatch_store::{ApiKey, AuditAction, Store, StoreError};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use super::{Caller, KeyText, LocalAccess, SessionToken};
use crate::audit::Actor;

/// How long what is known of a key is not asked again.
const FRESH: TimeDelta = TimeDelta::seconds(5);
/// How long it stands while Postgres is away.
const STALE: TimeDelta = TimeDelta::minutes(10);
/// How often the use of a key is noted.
const NOTE_USE: TimeDelta = TimeDelta::minutes(1);
/// Entries; beyond them those are forgotten that were not asked for lately.
const MAX_ENTRIES: usize = 10_000;
/// Keys that are not known and are looked for in a second.
const LOOKUPS: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// What a request shows.
#[derive(Debug)]
pub enum Credential {
    /// A key.
    Key(String),
    /// The cookie of a browser that has signed in.
    Session(String),
}

/// Why nobody comes in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no key, and one is needed.
    #[error("this needs an API key; send `Authorization: Bearer dw_…`")]
    Missing,
    /// There is no key yet: the owner has to show who they are.
    #[error(
        "this needs the authorization of the owner of this Dogwatch: `curl -H @{}`, in a browser the link that \
         `dogwatch sign-in` prints; or an API key (`dogwatch keys create`)",
        file.display()
    )]
    NotOwner {
        /// Where it is.
        file: PathBuf,
    },
    /// It opens nothing.
    #[error("this API key is none, was revoked, or has ended")]
    Wrong,
    /// The link of a sign-in.
    #[error("this link was used or has ended; `dogwatch sign-in` prints a new one")]
    Code,
    /// Somebody tries keys.
    #[error("too many unknown keys were tried; try again")]
    TooMany,
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who knows the keys.
#[derive(Clone, Debug)]
pub struct Keyring {
    store: Store,
    clock: Clock,
    /// Only who is on this machine can reach the address.
    is_loopback: bool,
    /// The owner's ways in; absent where there is no data folder.
    local: Option<Arc<LocalAccess>>,
    known: Arc<Mutex<Known>>,
    /// Of keys that are not known.
    lookups: Arc<DefaultDirectRateLimiter>,
    /// For what is noted of keys that are refused.
    refused: Arc<LogLimit>,
}

/// A key and the hash of its secret.
type HashedKey = (ApiKey, Vec<u8>);

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<Uuid, Entry<Option<HashedKey>>>,
    sessions: HashMap<Vec<u8>, Entry<Option<Uuid>>>,
    has_keys: Option<(bool, DateTime<Utc>)>,
    used: HashMap<Uuid, DateTime<Utc>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    value: T,
    /// When Postgres said so.
    at: DateTime<Utc>,
    /// When it was asked.
    asked_at: DateTime<Utc>,
}

impl Keyring {
    /// Of an address.
    pub fn new(store: Store, clock: Clock, is_loopback: bool, local: Option<LocalAccess>) -> Self {
        let lookups = Arc::new(RateLimiter::direct(Quota::per_second(LOOKUPS)));
        Self {
            store,
            clock,
            is_loopback,
            local: local.map(Arc::new),
            known: Arc::default(),
            lookups,
            refused: Arc::default(),
        }
    }

    /// Who shows this, from this address. A key that opens nothing is noted in the audit log.
    ///
    /// # Errors
    /// When it opens nothing, or nobody can say.
    pub async fn caller(
        &self,
        shown: Option<&Credential>,
        address: Option<String>,
    ) -> Result<Caller, Refused> {
        match self.look(shown).await {
            Ok(caller) => Ok(Caller { address, ..caller }),
            Err(refused) => {
                if let (Refused::Wrong, Some(Credential::Key(text))) = (&refused, shown) {
                    self.note_refused(text, address);
                }
                Err(refused)
            }
        }
    }

    async fn look(&self, shown: Option<&Credential>) -> Result<Caller, Refused> {
        match shown {
            Some(Credential::Key(text)) if self.local().is_some_and(|local| local.is_token(text)) => {
                if self.is_keyless().await? { Ok(Caller::owner()) } else { Err(Refused::Wrong) }
            }
            Some(Credential::Key(text)) => {
                let text = KeyText::parse(text).ok_or(Refused::Wrong)?;
                let (key, hash) = self.key(text.id).await?.ok_or(Refused::Wrong)?;
                if text.is(&hash) { self.caller_of(&key) } else { Err(Refused::Wrong) }
            }
            Some(Credential::Session(text)) if self.is_local_session(&SessionToken::of(text)) => {
                if self.is_keyless().await? { Ok(Caller::owner()) } else { Err(Refused::Missing) }
            }
            Some(Credential::Session(text)) => {
                let key = self.session(SessionToken::of(text).sha256()).await?.ok_or(Refused::Missing)?;
                let (key, _) = self.key(key).await?.ok_or(Refused::Missing)?;
                self.caller_of(&key)
            }
            None if self.is_keyless().await? => Ok(Caller::local_sender()),
            None => Err(Refused::Missing),
        }
    }

    /// Nobody needs a key: none was ever made, and nobody from outside can come.
    async fn is_keyless(&self) -> Result<bool, StoreError> {
        Ok(self.is_loopback && !self.has_keys().await?)
    }

    /// The owner's ways in.
    pub fn local(&self) -> Option<&LocalAccess> {
        self.local.as_deref()
    }

    fn is_local_session(&self, token: &SessionToken) -> bool {
        self.local().is_some_and(|local| local.is_session(token, self.clock.now()))
    }

    /// Why somebody who has shown nothing may not do what they want.
    pub fn missing(&self) -> Refused {
        self.local().map_or(Refused::Missing, |local| Refused::NotOwner { file: local.file().to_owned() })
    }

    /// A code for a link with which a browser signs in once; `None` where a key is needed.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn sign_in_code(&self) -> Result<Option<SessionToken>, StoreError> {
        let Some(local) = self.local() else { return Ok(None) };
        Ok(self.is_keyless().await?.then(|| local.new_code(self.clock.now())))
    }

    /// The owner, whose browser shows such a code.
    ///
    /// # Errors
    /// When it opens nothing.
    pub async fn owner_by_code(&self, code: &str, address: Option<String>) -> Result<Caller, Refused> {
        let code = SessionToken::of(code);
        let is_right = self.local().is_some_and(|local| local.use_code(&code, self.clock.now()));
        if is_right && self.is_keyless().await? {
            return Ok(Caller { address, ..Caller::owner() });
        }
        self.note_refused("", address);
        Err(Refused::Code)
    }

    fn caller_of(&self, key: &ApiKey) -> Result<Caller, Refused> {
        let now = self.clock.now();
        if !key.is_valid(now) {
            return Err(Refused::Wrong);
        }
        self.note_use(key.id, now);
        Ok(Caller::of(key))
    }

    async fn key(&self, id: Uuid) -> Result<Option<HashedKey>, Refused> {
        let known = self.known().keys.get(&id).cloned();
        let found = self.fresh(known, || self.store.api_key(id)).await?;
        remember(&mut self.known().keys, id, &found);
        Ok(found.value)
    }

    async fn session(&self, token_sha256: Vec<u8>) -> Result<Option<Uuid>, Refused> {
        let known = self.known().sessions.get(&token_sha256).cloned();
        let now = self.clock.now();
        let found = self.fresh(known, || self.store.key_of_session(&token_sha256, now)).await?;
        remember(&mut self.known().sessions, token_sha256, &found);
        Ok(found.value)
    }

    async fn has_keys(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let known = self.known().has_keys.filter(|(has, at)| *has || now - *at < FRESH);
        if let Some((has, _)) = known {
            // Once there was a key, there always was one.
            return Ok(has);
        }
        let has = self.store.has_api_keys().await?;
        self.known().has_keys = Some((has, now));
        Ok(has)
    }

    /// What is known, or what Postgres says; while that is away, what was known.
    async fn fresh<T, F: Future<Output = Result<Option<T>, StoreError>>>(
        &self,
        known: Option<Entry<Option<T>>>,
        ask: impl FnOnce() -> F,
    ) -> Result<Entry<Option<T>>, Refused> {
        let now = self.clock.now();
        match known {
            Some(known) if now - known.asked_at < FRESH => return Ok(known),
            // Whoever tries keys at random has some tries a second, and not all connections.
            None if self.lookups.check().is_err() => return Err(Refused::TooMany),
            _ => {}
        }
        match (ask().await, known) {
            (Ok(value), _) => Ok(Entry { value, at: now, asked_at: now }),
            (Err(error), Some(known)) if error.is_unavailable() && now - known.at < STALE => {
                Ok(Entry { asked_at: now, ..known })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Forgets a session that has ended here; others hear of it some seconds later.
    pub fn forget_session(&self, token: &SessionToken) {
        self.known().sessions.remove(&token.sha256());
        if let Some(local) = self.local() {
            local.end_session(token);
        }
    }

    fn note_use(&self, id: Uuid, now: DateTime<Utc>) {
        let mut known = self.known();
        if known.used.get(&id).is_some_and(|noted| now - *noted < NOTE_USE) {
            return;
        }
        known.used.insert(id, now);
        drop(known);
        // Nobody waits for it, and nothing depends on it.
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.note_use_of_api_key(id, now).await {
                tracing::debug!(error = error_chain(&error), "the use of a key could not be noted");
            }
        });
    }

    /// Nobody waits for it. Of each address one a minute is noted, with how many there were.
    fn note_refused(&self, text: &str, address: Option<String>) {
        let Some(due) = self.refused.count(address.as_deref().unwrap_or_default()) else { return };
        let key = KeyText::parse(text).map_or_else(|| "no key".to_owned(), |key| key.id.to_string());
        tracing::warn!(address, key, count = due.count, "an API key was refused");
        let store = self.store.clone();
        let actor = Actor { name: "unknown".to_owned(), address };
        tokio::spawn(async move {
            let details = serde_json::json!({ "count": due.count });
            actor.did_with(&store, AuditAction::KeyRefused, key, Some(details)).await;
        });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is there is remembered; what is not is asked for again, so that whoever tries many keys fills no memory.
fn remember<K: Hash + Eq, V: Clone>(
    entries: &mut HashMap<K, Entry<Option<V>>>,
    key: K,
    entry: &Entry<Option<V>>,
) {
    if entry.value.is_none() {
        entries.remove(&key);
        return;
    }
    if entries.len() >= MAX_ENTRIES {
        entries.retain(|_, known| entry.at - known.asked_at < FRESH);
    }
    entries.insert(key, entry.clone());
}
