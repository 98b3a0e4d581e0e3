//! What is done to bring a service back: a command or a webhook of the configuration file, so many times within a time and
//! not too soon after each other. Whether it helped, the service's own check says.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_runtime::duration;
use dogwatch_store::{ServiceHealth, Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, Command};

/// How much of what a command says is kept, in characters, and read, in bytes.
const MAX_OUTPUT: usize = 500;
const MAX_READ: u64 = 4 * 500;

/// `[services.recovery]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverySettings {
    /// A program and its arguments; no shell reads them.
    pub command: Option<Vec<String>>,
    /// Or an address to which is posted.
    pub webhook: Option<SecretString>,
    /// Failures in a row after which it is tried.
    #[serde(default = "three")]
    pub after: u32,
    /// So many attempts …
    #[serde(default = "three")]
    pub budget: u32,
    /// … within this time.
    #[serde(default = "an_hour", with = "duration::required")]
    pub budget_per: Duration,
    /// How long the service has after each.
    #[serde(default = "two_minutes", with = "duration::required")]
    pub cool_down: Duration,
    /// How long an attempt may take.
    #[serde(default = "a_minute", with = "duration::required")]
    pub timeout: Duration,
    /// Told what would be done, and not done.
    #[serde(default)]
    pub dry_run: bool,
}

fn three() -> u32 {
    3
}
fn a_minute() -> Duration {
    Duration::from_mins(1)
}
fn two_minutes() -> Duration {
    Duration::from_mins(2)
}
fn an_hour() -> Duration {
    Duration::from_hours(1)
}

impl RecoverySettings {
    pub(crate) fn validate(&self) -> Result<(), String> {
        match (&self.command, &self.webhook) {
            (Some(command), None) if !command.is_empty() => {}
            (None, Some(webhook)) if webhook.expose_secret().starts_with("http") => {}
            _ => return Err("write `command = [\"PROGRAM\", …]` or `webhook = \"https://…\"`".to_owned()),
        }
        if self.budget == 0 || self.after == 0 || self.timeout > Duration::from_mins(5) {
            return Err("`after` and `budget` are at least 1, `timeout` at most 5m".to_owned());
        }
        Ok(())
    }
}

/// Tries to bring a service back, if it is time to; says whether it tried.
pub(crate) async fn recover(
    store: &Store,
    http: &reqwest::Client,
    settings: &RecoverySettings,
    health: &ServiceHealth,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    if health.consecutive_failures < i32::try_from(settings.after).unwrap_or(i32::MAX) {
        return Ok(false);
    }
    let ago = |length: Duration| now - TimeDelta::from_std(length).unwrap_or(TimeDelta::days(1));
    let kind = if settings.command.is_some() { "command" } else { "webhook" };
    let (budget_since, cool_since) = (ago(settings.budget_per), ago(settings.cool_down));
    let service = health.service.as_str();
    let begun =
        store.begin_recovery(service, kind, settings.budget.into(), budget_since, cool_since, now).await?;
    let Some(id) = begun else { return Ok(false) };
    tracing::warn!(service, kind, dry_run = settings.dry_run, "trying to bring service `{service}` back");
    let done = match tokio::time::timeout(settings.timeout, act(http, settings, health)).await {
        Ok(done) => done,
        Err(_) => Err(format!("was not done within {} ms", settings.timeout.as_millis())),
    };
    if let Err(error) = &done {
        tracing::warn!(service, error, "the attempt to bring service `{service}` back failed");
    }
    store.end_recovery(id, done.err().as_deref(), now).await?;
    Ok(true)
}

/// The beginning of what a command writes. The rest is read and dropped: a command that nobody reads would stand still.
async fn beginning_of(stderr: Option<ChildStderr>) -> Vec<u8> {
    let mut beginning = Vec::new();
    if let Some(mut stderr) = stderr {
        // What cannot be read is not said.
        let _ = (&mut stderr).take(MAX_READ).read_to_end(&mut beginning).await;
        let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    }
    beginning
}

async fn act(
    http: &reqwest::Client,
    settings: &RecoverySettings,
    health: &ServiceHealth,
) -> Result<(), String> {
    if settings.dry_run {
        return Err("nothing was done: this is a dry run".to_owned());
    }
    let about: BTreeMap<&str, String> = [
        ("DOGWATCH_SERVICE", health.service.clone()),
        ("DOGWATCH_STATE", health.state.to_string()),
        ("DOGWATCH_ERROR", health.error.clone().unwrap_or_default()),
    ]
    .into();
    if let Some([program, arguments @ ..]) = settings.command.as_deref() {
        let mut command = Command::new(program);
        // Of our own environment it gets what finds programs, and no address with a password.
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(arguments).env_clear().env("PATH", path).envs(&about);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("{program} cannot be started: {error}"))?;
        let errors = beginning_of(child.stderr.take()).await;
        let status = child.wait().await.map_err(|error| format!("{program} is lost: {error}"))?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&errors).trim().chars().take(MAX_OUTPUT).collect::<String>();
        return Err(format!("{program} ended with {status}: {said}"));
    }
    let url = settings.webhook.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let body = serde_json::json!({ "service": health.service, "state": health.state, "error": health.error });
    let answer = http.post(url).json(&body).send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(format!("the webhook answered {}", answer.status()))
    }
}
