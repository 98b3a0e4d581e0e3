//! Who may use the API: keys, what each of them may, and whose data it sees.
//!
//! As long as no key was ever made, whoever reaches a loopback address may do everything: the first run asks for nothing. With
//! the first key that ends. A key of a tenant sees and tells of that tenant alone.

mod keyring;
mod secret;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use dogwatch_store::{ApiKey, Scope, Store, StoreError};
use uuid::Uuid;

pub use self::keyring::{Credential, Keyring, Refused};
pub use self::secret::{KeyText, SessionToken};

/// Bytes of the name of a key.
const MAX_NAME: usize = 100;

/// Who has sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key, if it was one.
    pub key: Option<Uuid>,
    /// What people call it.
    pub name: String,
    /// Whose data it sees; absent: everybody's.
    pub tenant: Option<String>,
    scopes: BTreeSet<Scope>,
}

impl Caller {
    /// Whoever reaches an address that is open.
    pub fn anybody() -> Self {
        Self { key: None, name: "api".to_owned(), tenant: None, scopes: Scope::ALL.iter().copied().collect() }
    }

    fn of(key: &ApiKey) -> Self {
        let scopes = key.scopes.iter().flat_map(|scope| implied(*scope)).copied().collect();
        Self { key: Some(key.id), name: key.name.clone(), tenant: key.tenant.clone(), scopes }
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
        Scope::Write => &[Scope::Write, Scope::Read],
        Scope::Admin => &[Scope::Admin, Scope::Write, Scope::Read, Scope::Ingest],
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
        return wrong("scopes", "is empty; write some of ingest, read, write, admin".to_owned());
    }
    if tenant.is_some() && scopes.contains(&Scope::Admin) {
        return wrong("scopes", "`admin` is of all tenants; write ingest, read or write".to_owned());
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
