//! Who may use the API: keys, what each of them may, and whose data it sees.
//!
//! As long as no key was ever made, the owner of the data folder may do everything ([`LocalAccess`]), and whoever reaches a
//! loopback address may send what is measured: exporters need no key at the first run. With the first key that ends. A key
//! of a tenant sees and tells of that tenant alone.

mod keyring;
mod local;
mod secret;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_jobs::{CleanupOldPerformanceData, GeneratePerformanceReport};
use dogwatch_queue::Job as _;
use dogwatch_store::{ApiKey, Scope, SeriesOwner, Store, StoreError};
use serde_json::Value;
use uuid::Uuid;

use crate::audit::Actor;

pub use self::keyring::{Credential, Keyring, Refused};
pub use self::local::{LocalAccess, token_in};
pub use self::secret::{KeyText, SessionToken};

/// Bytes of the name of a key.
const MAX_NAME: usize = 100;
/// How long a key that was replaced goes on where nothing is said.
pub const USUAL_OVERLAP: TimeDelta = TimeDelta::hours(1);
/// How long a key that was replaced goes on to open something.
const MAX_OVERLAP: TimeDelta = TimeDelta::days(90);

/// Who has sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key, if it was one.
    pub key: Option<Uuid>,
    /// What people call it.
    pub name: String,
    /// Whose data it sees; absent: everybody's.
    pub tenant: Option<String>,
    /// Where the request comes from.
    pub address: Option<String>,
    scopes: BTreeSet<Scope>,
}

impl Caller {
    /// The owner of this machine's Dogwatch, as long as there is no key.
    pub(crate) fn owner() -> Self {
        Self {
            key: None,
            name: "local".to_owned(),
            tenant: None,
            address: None,
            scopes: Scope::ALL.iter().copied().collect(),
        }
    }

    /// Whoever else reaches an address of loopback, as long as there is no key.
    fn local_sender() -> Self {
        Self { scopes: [Scope::Ingest].into(), ..Self::owner() }
    }

    fn of(key: &ApiKey) -> Self {
        let scopes = key.scopes.iter().flat_map(|scope| implied(*scope)).copied().collect();
        Self { key: Some(key.id), name: key.name.clone(), tenant: key.tenant.clone(), address: None, scopes }
    }

    /// Whose series it makes.
    pub fn series_owner(&self) -> SeriesOwner {
        SeriesOwner::of(self.tenant.as_deref(), self.key.map(|_| self.name.as_str()))
    }

    /// For the audit log.
    pub fn actor(&self) -> Actor {
        Actor { name: self.name.clone(), address: self.address.clone() }
    }

    /// Whether it may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// A scope, and those that it holds.
fn implied(scope: Scope) -> &'static [Scope] {
    match scope {
        Scope::Ingest => &[Scope::Ingest],
        Scope::Read => &[Scope::Read],
        Scope::Enqueue => &[Scope::Enqueue],
        Scope::Alerts => &[Scope::Alerts],
        Scope::Write => &[Scope::Write, Scope::Read, Scope::Enqueue, Scope::Alerts],
        Scope::Admin => Scope::ALL,
    }
}

/// A key to make.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// It sees and tells of this tenant only.
    pub tenant: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why a key was not made.
#[derive(Debug, thiserror::Error)]
pub enum NewKeyError {
    /// A value makes no sense.
    #[error("{field}: {reason}")]
    Value {
        /// Which.
        field: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Scopes, for people.
pub fn names(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
}

/// The scope that is needed to enqueue a job with these arguments: what removes data, or sends mail to any address, is for
/// administrators.
pub fn scope_of_job(job: &str, args: &Value) -> Scope {
    let names_recipients =
        || args.get("to").is_some_and(|to| !to.is_null() && to.as_array().is_none_or(|to| !to.is_empty()));
    match job {
        CleanupOldPerformanceData::NAME => Scope::Admin,
        GeneratePerformanceReport::NAME if names_recipients() => Scope::Admin,
        _ => Scope::Enqueue,
    }
}

/// Makes a key. Its text is returned this once, and kept nowhere.
///
/// # Errors
/// When a value makes no sense, or the name is taken.
pub async fn create_key(
    store: &Store,
    new: NewKey,
    created_by: &str,
    now: DateTime<Utc>,
) -> Result<(ApiKey, KeyText), NewKeyError> {
    let wrong = |field, reason: String| Err(NewKeyError::Value { field, reason });
    let NewKey { name, scopes, tenant, expires_at } = new;
    if name.trim().is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return wrong("name", format!("`{name}` is no name; write 1 to {MAX_NAME} bytes"));
    }
    if scopes.is_empty() {
        return wrong("scopes", format!("is empty; write some of {}", names(Scope::ALL)));
    }
    if tenant.is_some() && scopes.contains(&Scope::Admin) {
        return wrong("scopes", "`admin` is of all tenants; write other scopes".to_owned());
    }
    if tenant.as_deref().is_some_and(|tenant| tenant.is_empty() || tenant.contains('\0')) {
        return wrong("tenant", "is empty; leave it out for all tenants".to_owned());
    }
    if expires_at.is_some_and(|at| at <= now) {
        return wrong("expires_at", "is over".to_owned());
    }
    let scopes: BTreeSet<Scope> = scopes.into_iter().collect();
    let text = KeyText::random();
    let key = ApiKey {
        id: text.id,
        name,
        scopes: scopes.into_iter().collect(),
        tenant,
        created_at: now,
        created_by: created_by.to_owned(),
        expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    if !store.insert_api_key(&key, &text.secret_sha256()).await? {
        return wrong(
            "name",
            format!("another key is named `{}`; revoke it, or write another name", key.name),
        );
    }
    Ok((key, text))
}

/// Makes a key that takes the place of another, with its name, scopes and tenant: who uses that one has `overlap` to change
/// to this one.
///
/// # Errors
/// When there is no such key that is valid, or Postgres does not answer.
pub async fn rotate_key(
    store: &Store,
    id: Uuid,
    overlap: TimeDelta,
    created_by: &str,
    now: DateTime<Utc>,
) -> Result<(ApiKey, KeyText), RotateKeyError> {
    if !(TimeDelta::zero()..=MAX_OVERLAP).contains(&overlap) {
        return Err(RotateKeyError::Overlap);
    }
    let replaced = store.api_key(id).await?.map(|(key, _)| key).filter(|key| key.is_valid(now));
    let replaced = replaced.ok_or(RotateKeyError::Unknown(id))?;
    let text = KeyText::random();
    // It ends as long after its making as the one before did.
    let expires_at = replaced.expires_at.map(|at| now + (at - replaced.created_at));
    let renamed = format!("{} (replaced {})", replaced.name, now.format("%Y-%m-%d %H:%M:%S%.3f"));
    let key = ApiKey {
        id: text.id,
        created_at: now,
        created_by: created_by.to_owned(),
        expires_at,
        last_used_at: None,
        ..replaced
    };
    let is_replaced = store.replace_api_key(id, &renamed, now + overlap, &key, &text.secret_sha256()).await?;
    if is_replaced { Ok((key, text)) } else { Err(RotateKeyError::Unknown(id)) }
}

/// Why a key was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotateKeyError {
    /// There is none that is valid.
    #[error("there is no key `{0}` that is valid")]
    Unknown(Uuid),
    /// Too long.
    #[error("overlap: write a time of at most 90d")]
    Overlap,
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
}
