//! `api_keys` and `sessions`: who may use the API, and browsers that have signed in. Of secrets only hashes come here.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::words::Scope;

/// Keys that one look returns.
const MAX_KEYS: i64 = 1000;

/// Sessions of a key.
const MAX_SESSIONS: i64 = 50;
/// One that is not used for so long has ended.
const SESSION_IDLE: TimeDelta = TimeDelta::days(7);
/// How often the use of a session is noted.
const NOTE_SESSION: TimeDelta = TimeDelta::hours(1);

/// A browser that has signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its identity; not what the browser shows.
    pub id: Uuid,
    /// The name of the key that it signed in with.
    pub key: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was used last, to an hour.
    pub last_used_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// From where.
    pub address: Option<String>,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its identity, which is part of its text.
    pub id: Uuid,
    /// What people call it; of keys that are not revoked, the only one of this name.
    pub name: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// It sees and tells of this tenant only.
    pub tenant: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last, to a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Whether it opens anything now.
    pub fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

struct Row {
    id: Uuid,
    name: String,
    scopes: Vec<String>,
    tenant: Option<String>,
    created_at: DateTime<Utc>,
    created_by: String,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl Row {
    fn read(self) -> Result<ApiKey, StoreError> {
        Ok(ApiKey {
            id: self.id,
            name: self.name,
            scopes: self.scopes.into_iter().map(Scope::try_from).collect::<Result<_, _>>()?,
            tenant: self.tenant,
            created_at: self.created_at,
            created_by: self.created_by,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
            revoked_at: self.revoked_at,
        })
    }
}

async fn insert(connection: &mut PgConnection, key: &ApiKey, secret_sha256: &[u8]) -> sqlx::Result<bool> {
    let scopes: Vec<String> = key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let insert = sqlx::query!(
        "INSERT INTO api_keys (id, name, secret_sha256, scopes, tenant, created_at, created_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING",
        key.id,
        key.name,
        secret_sha256,
        &scopes,
        key.tenant,
        key.created_at,
        key.created_by,
        key.expires_at
    );
    Ok(insert.execute(connection).await?.rows_affected() == 1)
}

impl Store {
    /// Keeps a new key. False when another has its name.
    pub async fn insert_api_key(&self, key: &ApiKey, secret_sha256: &[u8]) -> Result<bool, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(StoreError::query("connect to Postgres"))?;
        insert(&mut connection, key, secret_sha256).await.map_err(StoreError::query("store an API key"))
    }

    /// Keeps a new key in the place of another, which from now on has another name and ends soon. Both are changed, or none.
    /// False when there is no such key, or it was revoked.
    pub async fn replace_api_key(
        &self,
        replaced: Uuid,
        renamed: &str,
        ends_at: DateTime<Utc>,
        key: &ApiKey,
        secret_sha256: &[u8],
    ) -> Result<bool, StoreError> {
        let failed = || StoreError::query("replace an API key");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let rename = sqlx::query!(
            "UPDATE api_keys SET name = $2, expires_at = least(expires_at, $3) WHERE id = $1 AND revoked_at IS NULL",
            replaced,
            renamed,
            ends_at
        );
        if rename.execute(&mut *transaction).await.map_err(failed())?.rows_affected() == 0 {
            return Ok(false);
        }
        let inserted = insert(&mut transaction, key, secret_sha256).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(inserted)
    }

    /// A key and the hash of its secret.
    pub async fn api_key(&self, id: Uuid) -> Result<Option<(ApiKey, Vec<u8>)>, StoreError> {
        let row = sqlx::query!(
            "SELECT id, name, scopes, tenant, created_at, created_by, expires_at, last_used_at, revoked_at, secret_sha256
             FROM api_keys WHERE id = $1",
            id
        );
        let row = row.fetch_optional(&self.pool).await.map_err(StoreError::query("look for an API key"))?;
        let Some(row) = row else { return Ok(None) };
        let key = Row {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            tenant: row.tenant,
            created_at: row.created_at,
            created_by: row.created_by,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        };
        Ok(Some((key.read()?, row.secret_sha256)))
    }

    /// Keys, those that are not revoked first, the newest of them first.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, name, scopes, tenant, created_at, created_by, expires_at, last_used_at, revoked_at
             FROM api_keys ORDER BY revoked_at IS NOT NULL, created_at DESC, id DESC LIMIT $1",
            MAX_KEYS
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read API keys"))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Whether there is, or ever was, a key: from then on nobody comes in without one.
    pub async fn has_api_keys(&self) -> Result<bool, StoreError> {
        let has = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM api_keys) AS "has!""#);
        has.fetch_one(&self.pool).await.map_err(StoreError::query("look whether there are API keys"))
    }

    /// Whether there is a key that opens something now.
    pub async fn has_valid_api_key(&self, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let has = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
               ) AS "has!""#,
            now
        );
        has.fetch_one(&self.pool).await.map_err(StoreError::query("look whether there are API keys"))
    }

    /// Revokes a key, with the sessions that it has opened. Returns its name; `None` when there is none, or it was revoked
    /// before.
    pub async fn revoke_api_key(&self, id: Uuid, now: DateTime<Utc>) -> Result<Option<String>, StoreError> {
        let revoke = sqlx::query_scalar!(
            "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING name",
            id,
            now
        );
        revoke.fetch_optional(&self.pool).await.map_err(StoreError::query("revoke an API key"))
    }

    /// Notes that a key was used.
    pub async fn note_use_of_api_key(&self, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
        let note = sqlx::query!(
            "UPDATE api_keys SET last_used_at = greatest(last_used_at, $2) WHERE id = $1",
            id,
            now
        );
        note.execute(&self.pool).await.map(drop).map_err(StoreError::query("note the use of an API key"))
    }

    /// Keeps a session. A key has so many at most: the oldest end.
    pub async fn insert_session(
        &self,
        token_sha256: &[u8],
        key: Uuid,
        address: Option<&str>,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::query("store a session");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let over = sqlx::query!(
            "DELETE FROM sessions WHERE expires_at < $1 OR last_used_at < $2 OR token_sha256 IN (
                 SELECT token_sha256 FROM sessions WHERE key_id = $3 ORDER BY created_at DESC OFFSET $4
             )",
            now,
            now - SESSION_IDLE,
            key,
            MAX_SESSIONS - 1
        );
        over.execute(&mut *transaction).await.map_err(failed())?;
        let insert = sqlx::query!(
            "INSERT INTO sessions (token_sha256, key_id, created_at, expires_at, last_used_at, address)
             VALUES ($1, $2, $3, $4, $3, $5)",
            token_sha256,
            key,
            now,
            expires_at,
            address
        );
        insert.execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())
    }

    /// The key that a session was opened with, unless it has ended or was not used for a week.
    pub async fn key_of_session(
        &self,
        token_sha256: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<Uuid>, StoreError> {
        let failed = || StoreError::query("look for a session");
        let session = sqlx::query!(
            "SELECT key_id, last_used_at FROM sessions
             WHERE token_sha256 = $1 AND expires_at > $2 AND last_used_at > $3",
            token_sha256,
            now,
            now - SESSION_IDLE
        );
        let Some(session) = session.fetch_optional(&self.pool).await.map_err(failed())? else {
            return Ok(None);
        };
        if now - session.last_used_at > NOTE_SESSION {
            let note = sqlx::query!(
                "UPDATE sessions SET last_used_at = $2 WHERE token_sha256 = $1",
                token_sha256,
                now
            );
            note.execute(&self.pool).await.map_err(failed())?;
        }
        Ok(Some(session.key_id))
    }

    /// Sessions that last, those used last first.
    pub async fn sessions(&self, now: DateTime<Utc>) -> Result<Vec<Session>, StoreError> {
        let sessions = sqlx::query_as!(
            Session,
            "SELECT session.id, api_keys.name AS key, session.created_at, session.last_used_at, session.expires_at, address
             FROM sessions AS session JOIN api_keys ON api_keys.id = key_id
             WHERE session.expires_at > $1 AND session.last_used_at > $2 AND revoked_at IS NULL
             ORDER BY session.last_used_at DESC LIMIT $3",
            now,
            now - SESSION_IDLE,
            MAX_KEYS
        );
        sessions.fetch_all(&self.pool).await.map_err(StoreError::query("read sessions"))
    }

    /// Ends a session by its id. False when there is none.
    pub async fn end_session_by_id(&self, id: Uuid) -> Result<bool, StoreError> {
        let end = sqlx::query!("DELETE FROM sessions WHERE id = $1", id);
        let ended = end.execute(&self.pool).await.map_err(StoreError::query("end a session"))?;
        Ok(ended.rows_affected() == 1)
    }

    /// Ends a session.
    pub async fn end_session(&self, token_sha256: &[u8]) -> Result<(), StoreError> {
        let end = sqlx::query!("DELETE FROM sessions WHERE token_sha256 = $1", token_sha256);
        end.execute(&self.pool).await.map(drop).map_err(StoreError::query("end a session"))
    }
}
