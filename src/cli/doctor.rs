//! `dogwatch doctor`: what is wrong with Redis, Postgres, migrations, schedules and clocks, and how to mend it.

use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Args;
use dogwatch_queue::{Client, Clock, error_chain};
use dogwatch_store::Store;
use serde::Serialize;

use super::{Global, output, schedules};
use crate::config::Config;
use crate::wiring;

/// A clock that is off by more spoils windows and retries.
const MAX_SKEW_MS: i64 = 2_000;

/// Say what is wrong, and how to mend it
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Wrong,
}

fn ok(what: &'static str, detail: impl Into<String>) -> Finding {
    Finding { what, state: State::Ok, detail: detail.into(), remedy: None }
}

fn warning(what: &'static str, detail: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { what, state: State::Warning, detail: detail.into(), remedy: Some(remedy) }
}

fn wrong(what: &'static str, detail: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { what, state: State::Wrong, detail: detail.into(), remedy: Some(remedy) }
}

impl Doctor {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut findings = Vec::new();
        match global.client_settings() {
            Ok(config) => {
                findings.push(ok("settings", "valid"));
                findings.extend(redis(&config).await);
                findings.extend(postgres(&config).await);
            }
            Err(error) => {
                findings.push(wrong("settings", format!("{error:#}"), "correct the place that it names"));
            }
        }
        findings.push(match schedules::read(global) {
            Ok(file) => ok("schedules", format!("{} enabled", file.enabled().count())),
            Err(error) => wrong(
                "schedules",
                format!("{error:#}"),
                "correct the line; `dogwatch schedules validate` checks it",
            ),
        });
        let is_well = findings.iter().all(|finding| finding.state != State::Wrong);
        if self.json {
            output::json(&findings)?;
        } else {
            findings.iter().for_each(print);
        }
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(finding: &Finding) {
    let (colour, word) = match finding.state {
        State::Ok => (AnsiColor::Green, "ok     "),
        State::Warning => (AnsiColor::Yellow, "warning"),
        State::Wrong => (AnsiColor::Red, "wrong  "),
    };
    output::line(&format!("{} {:<14} {}", output::coloured(colour, word), finding.what, finding.detail));
    if let Some(remedy) = finding.remedy {
        output::line(&format!("{:<22} hint: {remedy}", ""));
    }
}

async fn redis(config: &Config) -> Vec<Finding> {
    let client = match wiring::queue(config) {
        Ok(client) => client,
        Err(error) => {
            return vec![wrong("redis", format!("{error:#}"), "name one, or start `dogwatch up`")];
        }
    };
    let version = match version(&client).await {
        Ok(version) => version,
        Err(error) => {
            let detail = format!("{}: {}", client.address(), error_chain(&error));
            return vec![wrong("redis", detail, "start Redis, or correct REDIS_URL")];
        }
    };
    let mut findings = vec![ok("redis", format!("{version} at {}", client.address()))];
    let policy = client.info("maxmemory_policy").await.ok().flatten().unwrap_or_default();
    if policy != "noeviction" {
        let remedy = "redis-cli CONFIG SET maxmemory-policy noeviction";
        findings.push(wrong(
            "redis memory",
            format!("policy `{policy}` throws jobs away when memory is short"),
            remedy,
        ));
    }
    if let Some(old) = too_old(&client).await {
        findings.push(wrong("redis version", old, "upgrade to Redis 7.0 or later, or to Valkey"));
    }
    findings.push(match client.self_test().await {
        Ok(took) => ok("redis rights", format!("a job lived its life in {} ms", took.as_millis())),
        Err(error) => {
            wrong("redis rights", error_chain(&error), "grant what docs/QUEUE.md lists under Access control")
        }
    });
    if client.info("aof_enabled").await.ok().flatten().as_deref() != Some("1") {
        let remedy = "redis-cli CONFIG SET appendonly yes";
        findings.push(warning("redis disk", "jobs since the last snapshot are lost with Redis", remedy));
    }
    if let Ok(there) = client.time_ms().await {
        findings.push(clock("redis clock", there - Clock::system().now().timestamp_millis()));
    }
    findings
}

/// The version, when our scripts need a later one.
async fn too_old(client: &Client) -> Option<String> {
    let version = client.info("redis_version").await.ok()??;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < 7).then(|| format!("{version}: scripts that a full Redis may not stop half way need 7.0"))
}

async fn version(client: &Client) -> Result<String, dogwatch_queue::QueueError> {
    for (field, name) in [("valkey_version", "Valkey"), ("redis_version", "Redis")] {
        if let Some(version) = client.info(field).await? {
            return Ok(format!("{name} {version}"));
        }
    }
    Ok("Redis".to_owned())
}

async fn postgres(config: &Config) -> Vec<Finding> {
    let store = match wiring::store(config) {
        Ok(store) => store,
        Err(error) => {
            return vec![wrong("postgres", format!("{error:#}"), "name one, or start `dogwatch up`")];
        }
    };
    let mut findings = match store.ping().await {
        Ok(version) => vec![ok("postgres", version)],
        Err(error) => {
            let detail = error_chain(&error);
            return vec![wrong("postgres", detail, "start Postgres, or correct DATABASE_URL")];
        }
    };
    findings.push(migrations(&store).await);
    if let Ok(skew) = store.clock_skew(Clock::system().now()).await {
        findings.push(clock("postgres clock", skew.num_milliseconds()));
    }
    findings
}

async fn migrations(store: &Store) -> Finding {
    match store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => ok("migrations", "all applied"),
        Ok(pending) => {
            wrong("migrations", format!("missing: {}", pending.join(", ")), "run `dogwatch migrate`")
        }
        Err(error) => wrong("migrations", error_chain(&error), "see the log of Postgres"),
    }
}

fn clock(what: &'static str, skew_ms: i64) -> Finding {
    if skew_ms.abs() <= MAX_SKEW_MS {
        return ok(what, format!("{skew_ms} ms from ours"));
    }
    warning(what, format!("{skew_ms} ms from ours"), "let both machines keep their time by NTP")
}
