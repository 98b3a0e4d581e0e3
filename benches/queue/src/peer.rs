//! The peers: how each is installed, and how a process of it is started for a role.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use dogwatch_bench_support as support;
use serde_json::Value;
use tokio::process::{Child, Command};

/// Longer than any measurement takes.
const PATIENCE: Duration = Duration::from_secs(900);

/// A queue that is measured.
pub struct Peer {
    pub name: &'static str,
    pub shown: &'static str,
    pub setup: &'static str,
    /// The most that it can have waiting.
    pub most: usize,
    kind: Kind,
}

enum Kind {
    Child,
    /// These packages of PyPI.
    Python(&'static [&'static str]),
    /// These packages of npm.
    Node(&'static [&'static str]),
}

pub const PEERS: [Peer; 5] = [
    Peer {
        name: "dogwatch",
        shown: "Dogwatch",
        setup: "concurrency 256; leases, acknowledgements, retries, history on",
        most: usize::MAX,
        kind: Kind::Child,
    },
    Peer {
        name: "celery",
        shown: "Celery 5.7",
        setup: "prefork, 2 processes, results ignored, acknowledged early (its defaults)",
        most: usize::MAX,
        kind: Kind::Python(&["celery[redis]==5.7.0"]),
    },
    Peer {
        name: "bullmq",
        shown: "BullMQ 6",
        setup: "concurrency 50, 5 attempts, keeps 10,000 ended jobs",
        most: usize::MAX,
        kind: Kind::Node(&["bullmq@6.7.0", "ioredis@6.0.0"]),
    },
    Peer {
        name: "apalis",
        shown: "apalis-redis 1.0",
        setup: "concurrency 256, batches of 256; stops permanently at 8,000 due jobs",
        most: 5_000,
        kind: Kind::Child,
    },
    Peer {
        name: "river",
        shown: "riverqueue 0.5",
        setup: "concurrency 1000, 2 ms between fetches, on Postgres",
        most: usize::MAX,
        kind: Kind::Child,
    },
];

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

impl Peer {
    /// Installs it into a folder that git ignores, once.
    pub fn install(&self) -> anyhow::Result<()> {
        match self.kind {
            Kind::Child => {}
            Kind::Python(packages) => drop(support::python(self.name, packages)?),
            Kind::Node(packages) => drop(support::node(self.name, packages)?),
        }
        Ok(())
    }

    /// The address that it wants: River has none in Redis.
    pub fn url<'a>(&self, redis: &'a str, postgres: &'a str) -> &'a str {
        if self.name == "river" { postgres } else { redis }
    }

    /// A process of it. Killed when dropped.
    pub fn start(&self, role: &str, url: &str, count: usize) -> anyhow::Result<Child> {
        let mut command = match self.kind {
            Kind::Child => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["child", self.name]);
                command
            }
            Kind::Python(packages) => {
                let mut command = Command::new(support::python(self.name, packages)?);
                command.arg(script("celery_peer.py"));
                command
            }
            Kind::Node(packages) => {
                let (node, folder) = support::node(self.name, packages)?;
                // Node searches for modules beside the script.
                let copy = folder.join("bullmq_peer.mjs");
                std::fs::copy(script("bullmq_peer.mjs"), &copy)?;
                let mut command = Command::new(node);
                command.arg(copy);
                command
            }
        };
        command.arg(role).arg(url).arg(count.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().with_context(|| format!("cannot start {}", self.shown))
    }

    /// Runs a process of it to its end; its figures.
    pub async fn measure(&self, role: &str, url: &str, count: usize) -> anyhow::Result<Value> {
        figures(self.start(role, url, count)?).await
    }
}

/// What a process prints in its last line; null if it prints no figures and succeeds.
pub async fn figures(child: Child) -> anyhow::Result<Value> {
    let output =
        tokio::time::timeout(PATIENCE, child.wait_with_output()).await.context("it did not end")??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(line) = text.lines().rfind(|line| line.starts_with('{')) {
        return Ok(serde_json::from_str(line)?);
    }
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(Value::Null)
}
