//! `dogwatch keys`: who may use the API.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use dogwatch_queue::Clock;
use dogwatch_runtime::duration;
use dogwatch_store::{ApiKey, AuditAction, Scope};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Global, output, usage};
use crate::access::{NewKey, NewKeyError, RotateKeyError, create_key, rotate_key};
use crate::metrics::Page;
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key; it is shown this once
    #[command(after_help = "Examples:\n  dogwatch keys create ops --scope admin\n  \
                            dogwatch keys create shop --scope ingest --tenant acme --expires-in 365d")]
    Create(Create),
    /// List keys, and when each was used last
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a key that takes the place of another, which goes on for a while
    #[command(after_help = "Example: dogwatch keys rotate shop --overlap 24h")]
    Rotate {
        /// Its name or id
        key: String,
        /// How long the key that is replaced is still valid
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration::parse)]
        overlap: Duration,
        /// Who you are
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key: within seconds it opens nothing
    #[command(after_help = "Example: dogwatch keys revoke shop")]
    Revoke {
        /// Its name or id
        key: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// What people call it
    name: String,
    /// What it may; can be repeated. `write` also reads, enqueues and acts on alerts, `admin` does everything
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = ["ingest", "read", "enqueue", "alerts", "write", "admin"])]
    scopes: Vec<String>,
    /// It sees and tells of this tenant only
    #[arg(long)]
    tenant: Option<String>,
    /// It ends after so long, such as 365d
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    expires_in: Option<Duration>,
    /// Who you are
    #[arg(long, env = "USER", default_value = "cli")]
    by: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Keys {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create(create) => create.run(global).await?,
            Self::List { json } => {
                let keys = keys(global).await?;
                if json {
                    output::json_list(&keys)?;
                } else {
                    let header = ["name", "scopes", "tenant", "state", "last used", "made", "by", "id"];
                    let now = Clock::system().now();
                    output::table(
                        &header,
                        keys.iter().map(|key| row(key, now)).collect(),
                        "no keys: whoever is on this machine may do everything",
                    );
                }
            }
            Self::Rotate { key, overlap, by, json } => {
                rotate(global, &key, overlap, &by).await?.print(json)?;
            }
            Self::Revoke { key } => {
                revoke(global, &key).await?;
                output::line(&format!("revoked: {key}"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, global: &Global) -> anyhow::Result<()> {
        let Self { name, scopes, tenant, expires_in, by, json } = self;
        let now = Clock::system().now();
        let length = expires_in.map(TimeDelta::from_std).transpose();
        let length = length.map_err(|_| usage("--expires-in is too long"))?;
        let expires_at = length.map(|length| now + length);
        let made = if let Some(remote) = global.remote()? {
            let asked = json!({ "name": name, "scopes": scopes, "tenant": tenant, "expires_at": expires_at });
            remote.post(&["keys"], &asked).await?
        } else {
            let store = wiring::store(&global.client_settings()?)?;
            let scopes = scopes.into_iter().filter_map(|word| Scope::try_from(word).ok()).collect();
            let new = NewKey { name, scopes, tenant, expires_at };
            let (key, text) = create_key(&store, new, &by, now).await.map_err(|error| match error {
                NewKeyError::Value { .. } => usage(error.to_string()),
                NewKeyError::Store(error) => error.into(),
            })?;
            global.audit(AuditAction::KeyCreated, key.name.clone()).await;
            CreatedKey { key, secret: text.expose() }
        };
        made.print(json)
    }
}

/// A key that was made, and its text.
#[derive(Deserialize)]
struct CreatedKey {
    #[serde(flatten)]
    key: ApiKey,
    secret: String,
}

impl CreatedKey {
    fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return output::json(&json!({ "key": self.key, "secret": self.secret }));
        }
        output::line(&self.secret);
        output::note("It is shown this once. Send it as `Authorization: Bearer …`.");
        Ok(())
    }
}

async fn keys(global: &Global) -> anyhow::Result<Vec<ApiKey>> {
    if let Some(remote) = global.remote()? {
        return Ok(remote.get::<Page<_>>(&["keys"], &()).await?.items);
    }
    Ok(wiring::store(&global.client_settings()?)?.api_keys().await?)
}

/// The id of a valid key, by its name or id.
async fn find(global: &Global, key: &str) -> anyhow::Result<Uuid> {
    let is_valid = |it: &&ApiKey| it.revoked_at.is_none() && (it.name == key || it.id.to_string() == key);
    let all = keys(global).await?;
    let id = all.iter().find(is_valid).map(|it| it.id);
    id.with_context(|| format!("there is no key `{key}` that is valid"))
}

async fn rotate(global: &Global, key: &str, overlap: Duration, by: &str) -> anyhow::Result<CreatedKey> {
    let id = find(global, key).await?;
    if let Some(remote) = global.remote()? {
        let asked = json!({ "overlap": format!("{}ms", overlap.as_millis()) });
        return remote.post(&["keys", &id.to_string(), "rotate"], &asked).await;
    }
    let store = wiring::store(&global.client_settings()?)?;
    let overlap = TimeDelta::from_std(overlap).map_err(|_| usage("--overlap is too long"))?;
    let rotated = rotate_key(&store, id, overlap, by, Clock::system().now()).await;
    let (key, text) = rotated.map_err(|error| match error {
        RotateKeyError::Overlap => usage(error.to_string()),
        error => error.into(),
    })?;
    global.audit(AuditAction::KeyRotated, key.name.clone()).await;
    Ok(CreatedKey { key, secret: text.expose() })
}

async fn revoke(global: &Global, key: &str) -> anyhow::Result<()> {
    let id = find(global, key).await?;
    if let Some(remote) = global.remote()? {
        return remote.delete(&["keys", &id.to_string()], &()).await;
    }
    let store = wiring::store(&global.client_settings()?)?;
    if let Some(name) = store.revoke_api_key(id, Clock::system().now()).await? {
        global.audit(AuditAction::KeyRevoked, name).await;
    }
    Ok(())
}

fn row(key: &ApiKey, now: DateTime<Utc>) -> Vec<String> {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(at)) if at <= now => "ended".to_owned(),
        (None, Some(at)) => format!("to {}", output::time(Some(at))),
        (None, None) => "valid".to_owned(),
    };
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    vec![
        key.name.clone(),
        scopes.join(", "),
        key.tenant.clone().unwrap_or_default(),
        state,
        output::time(key.last_used_at),
        output::time(Some(key.created_at)),
        key.created_by.clone(),
        key.id.to_string(),
    ]
}
