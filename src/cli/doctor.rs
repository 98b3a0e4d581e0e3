//! `dogwatch doctor`: what is wrong with Redis, Postgres, migrations, schedules and clocks, and how to mend it.

use std::process::ExitCode;
use std::time::Duration;

use anstyle::AnsiColor;
use clap::Args;
use dogwatch_queue::{CeleryList, Client, Clock, Inspector, QueueError, RedisFault, error_chain};
use dogwatch_store::{ExportRefusal, Store, Transport};
use serde::Serialize;

use super::{Global, output, schedules};
use crate::config::Config;
use crate::wiring;

/// How long a job may be between two commands of its producer.
const SECOND_FINDING: Duration = Duration::from_secs(1);
/// A queue with very many jobs is left to its workers.
const LONGEST_READING: Duration = Duration::from_secs(10);
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
                findings.push(match &config.exposed_file {
                    None => ok("settings", "valid"),
                    Some(file) => warning(
                        "settings",
                        format!("other users of this machine can read {file}, which holds secrets"),
                        "run chmod 600 on it, or put the secrets into files of their own (`password_file`)",
                    ),
                });
                findings.extend(redis(&config).await);
                findings.extend(postgres(&config).await);
            }
            Err(error) => {
                findings.push(wrong("settings", error_chain(&*error), "correct the place that it names"));
            }
        }
        findings.push(match schedules::read(global) {
            Ok(file) => ok("schedules", format!("{} enabled", file.enabled().count())),
            Err(error) => wrong(
                "schedules",
                error_chain(&*error),
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
            return vec![wrong("redis", error_chain(&*error), "name one, or start `dogwatch up`")];
        }
    };
    let address = client.address();
    let there = match client.time_ms().await {
        Ok(there) => there,
        Err(error) => {
            let detail = format!("{address}: {}", error_chain(&error));
            return vec![wrong("redis", detail, remedy(&error, "start Redis, or correct REDIS_URL"))];
        }
    };
    // Before everything that takes time.
    let skew_ms = there - Clock::system().now().timestamp_millis();
    let mut findings = match information(&client).await {
        Ok(findings) => findings,
        Err(error) => {
            let detail = format!(
                "cannot read INFO: {}; version, memory and disk are not checked",
                error.fault().map(ToString::to_string).unwrap_or_default()
            );
            let remedy = "allow this user to run INFO, or check them by hand";
            vec![ok("redis", format!("answers at {address}")), warning("redis info", detail, remedy)]
        }
    };
    if client.accepts_any_certificate() {
        let remedy = "name its authority by SSL_CERT_FILE, without `ssl_cert_reqs=none` and `#insecure`";
        findings.push(warning("redis TLS", "the certificate of Redis is not checked", remedy));
    }
    findings.extend(writes(&client).await);
    findings.push(jobs_in_no_collection(&client).await);
    findings.extend(unknown_jobs(&client).await);
    findings.extend(scheduler(config, &client).await);
    findings.extend(celery(config, &client).await);
    findings.push(clock("redis clock", skew_ms));
    findings
}

/// What fits the reply of Redis.
fn remedy(error: &QueueError, otherwise: &'static str) -> &'static str {
    error.fault().and_then(RedisFault::remedy).unwrap_or(otherwise)
}

/// Whether Redis takes writes, and the user may do all that a queue takes.
async fn writes(client: &Client) -> Vec<Finding> {
    if let Err(error) = client.check_writes().await {
        let remedy = remedy(&error, "see the log of Redis");
        return vec![wrong("redis writes", error_chain(&error), remedy)];
    }
    let rights = match client.self_test().await {
        Ok(took) => ok("redis rights", format!("a job lived its life in {} ms", took.as_millis())),
        Err(error) => wrong("redis rights", error_chain(&error), remedy(&error, "see the log of Redis")),
    };
    vec![ok("redis writes", "accepted"), rights]
}

/// Jobs that are stored and would never run without a worker that puts them back.
async fn jobs_in_no_collection(client: &Client) -> Finding {
    const WHAT: &str = "redis jobs";
    let inspector = Inspector::new(client.clone());
    let missing = async {
        let mut found = Vec::new();
        for queue in inspector.queues().await? {
            let mut jobs = inspector.missing(&queue).await?;
            if jobs > 0 {
                // One that is just being enqueued is in a collection by then.
                tokio::time::sleep(SECOND_FINDING).await;
                jobs = jobs.min(inspector.missing(&queue).await?);
            }
            if jobs > 0 {
                found.push(format!("{jobs} of queue `{queue}`"));
            }
        }
        Ok::<_, QueueError>(found)
    };
    match tokio::time::timeout(LONGEST_READING, missing).await {
        Ok(Ok(found)) if found.is_empty() => ok(WHAT, "each is in one collection"),
        Ok(Ok(found)) => warning(
            WHAT,
            format!("stored and in no collection: {}", found.join(", ")),
            "start a worker that serves the queue; it enqueues them within some two minutes",
        ),
        Ok(Err(error)) => wrong(WHAT, error_chain(&error), remedy(&error, "see the log of Redis")),
        Err(_) => ok(WHAT, format!("too many to check within {LONGEST_READING:?}; workers check them")),
    }
}

/// Jobs that no worker knew when it claimed them.
async fn unknown_jobs(client: &Client) -> Option<Finding> {
    const WHAT: &str = "unknown jobs";
    let counts = match Inspector::new(client.clone()).counts().await {
        Ok(counts) => counts,
        Err(error) => {
            return Some(wrong(WHAT, error_chain(&error), remedy(&error, "see the log of Redis")));
        }
    };
    let unknown: Vec<String> = counts
        .iter()
        .filter(|queue| queue.unknown > 0)
        .map(|queue| format!("{} of queue `{}`", queue.unknown, queue.name))
        .collect();
    if unknown.is_empty() {
        return None;
    }
    let detail = format!("no worker that has claimed them knows them: {}", unknown.join(", "));
    let remedy = "start a worker that has these jobs; the log of the workers names them";
    Some(warning(WHAT, detail, remedy))
}

/// Whether the leading scheduler has put the file into force.
async fn scheduler(config: &Config, client: &Client) -> Option<Finding> {
    const WHAT: &str = "scheduler";
    match Inspector::new(client.clone()).scheduler_status(&config.scheduler.book).await {
        Ok(status) => status.refused_file.map(|refused| {
            let detail = format!(
                "it refuses schedules.toml since {}, an earlier version is in force: {}",
                output::time(Some(refused.since)),
                refused.error
            );
            wrong(WHAT, detail, "correct the file that it reads")
        }),
        Err(error) => Some(wrong(WHAT, error_chain(&error), remedy(&error, "see the log of Redis"))),
    }
}

/// What INFO says of version, memory and disk.
async fn information(client: &Client) -> Result<Vec<Finding>, QueueError> {
    let mut findings = vec![ok("redis", format!("{} at {}", version(client).await?, client.address()))];
    let policy = client.info("maxmemory_policy").await?.unwrap_or_default();
    if policy != "noeviction" {
        let remedy = "redis-cli CONFIG SET maxmemory-policy noeviction";
        findings.push(wrong(
            "redis memory",
            format!("policy `{policy}` throws jobs away when memory is short"),
            remedy,
        ));
    }
    if let Some(old) = client.info("redis_version").await?.as_deref().and_then(too_old) {
        findings.push(wrong("redis version", old, "upgrade to Redis 7.0 or later, or to Valkey"));
    }
    if client.info("aof_enabled").await?.as_deref() != Some("1") {
        let remedy = "redis-cli CONFIG SET appendonly yes";
        findings.push(warning("redis disk", "jobs since the last snapshot are lost with Redis", remedy));
    }
    Ok(findings)
}

/// What waits in Celery's lists, and whether its results can be stored.
async fn celery(config: &Config, client: &Client) -> Vec<Finding> {
    if config.celery.queues.is_empty() {
        return Vec::new();
    }
    let mut findings = match config.celery.survey(client, &dogwatch_jobs::registry().catalog()).await {
        Ok(lists) => lists.iter().map(celery_list).collect(),
        Err(error) => {
            let remedy = "let the user of Redis read the lists: docs/QUEUE.md, Access control";
            vec![wrong("celery lists", error_chain(&error), remedy)]
        }
    };
    match config.celery.check_results().await {
        Ok(None) => {}
        Ok(Some(address)) => findings.push(ok("celery results", format!("stored at {address}"))),
        Err(error) => {
            let remedy = "start that Redis, or correct [celery] results";
            findings.push(wrong("celery results", error_chain(&error), remedy));
        }
    }
    findings
}

fn celery_list(list: &CeleryList) -> Finding {
    let CeleryList { list, messages, read, left, tasks } = list;
    if *left == 0 {
        return ok("celery list", format!("`{list}`: {messages} messages wait"));
    }
    let detail = format!(
        "`{list}`: {messages} messages wait; of {read} that were read, {left} are of unknown tasks ({})",
        tasks.join(", ")
    );
    let remedy = "run a Celery worker for them, or name their jobs in [celery.tasks]";
    warning("celery list", detail, remedy)
}

/// A sentence about the version, when our scripts need a later one.
fn too_old(version: &str) -> Option<String> {
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < 7).then(|| format!("{version}: scripts that a full Redis may not stop half way need 7.0"))
}

async fn version(client: &Client) -> Result<String, QueueError> {
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
            return vec![wrong("postgres", error_chain(&*error), "name one, or start `dogwatch up`")];
        }
    };
    let mut findings = match store.ping().await {
        Ok(version) => vec![ok("postgres", version)],
        Err(error) => {
            let detail = error_chain(&error);
            return vec![wrong("postgres", detail, "start Postgres, or correct DATABASE_URL")];
        }
    };
    findings.extend(transport(&store));
    findings.push(migrations(&store).await);
    findings.extend(rollups(&store).await);
    findings.extend(refusals(&store).await);
    if let Ok(skew) = store.clock_skew(Clock::system().now()).await {
        findings.push(clock("postgres clock", skew.num_milliseconds()));
    }
    findings
}

/// Whether others on the network can read along.
fn transport(store: &Store) -> Option<Finding> {
    const WHAT: &str = "postgres TLS";
    match store.transport() {
        Transport::Local => None,
        Transport::Verified => Some(ok(WHAT, "encrypted, and the certificate is checked")),
        Transport::Encrypted => Some(warning(
            WHAT,
            "encrypted, but the certificate of Postgres is not checked",
            "write sslmode=verify-full in the address, and sslrootcert=FILE for an authority of your own",
        )),
        Transport::ClearText => Some(warning(
            WHAT,
            "password and data cross the network in clear text, as sslmode=disable says",
            "turn TLS on at the server, and write sslmode=verify-full in the address",
        )),
    }
}

/// How far back refused exports are told, and how many of them.
const REFUSED_LATELY_MINUTES: i32 = 10;
const MAX_REFUSALS: usize = 10;

/// Rollups that cannot be made. Without all migrations there is nothing to say.
async fn rollups(store: &Store) -> Option<Finding> {
    let failed = store.failed_rollups().await.ok().filter(|failed| failed.count > 0)?;
    let reason = failed.error.unwrap_or_default();
    let detail = format!("{} cannot be made, and are missing in all windows: {reason}", failed.count);
    Some(wrong("rollups", detail, "see the log; `dogwatch rollups rebuild` tries them again"))
}

/// What exporters send and Dogwatch refuses. Without all migrations there is nothing to say.
async fn refusals(store: &Store) -> Vec<Finding> {
    let refused = store.export_refusals(REFUSED_LATELY_MINUTES).await.unwrap_or_default();
    let remedy = "correct the sender; `[otlp]` in docs/SERVICES.md says what is taken";
    let finding = |refused: ExportRefusal| {
        let service = Some(refused.service).filter(|service| !service.is_empty());
        let who = service.map_or_else(String::new, |service| format!("{service}: "));
        let detail = format!("{who}{} exports, {}: {}", refused.exports, refused.reason, refused.message);
        warning("refused exports", detail, remedy)
    };
    refused.into_iter().take(MAX_REFUSALS).map(finding).collect()
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
