//! The peers: how each is installed, and how a process of it is started for a role.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
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
    Python,
    Node,
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
        shown: "Celery 5",
        setup: "prefork, 2 processes, results ignored, acknowledged early (its defaults)",
        most: usize::MAX,
        kind: Kind::Python,
    },
    Peer {
        name: "bullmq",
        shown: "BullMQ",
        setup: "concurrency 50, 5 attempts, keeps 10,000 ended jobs",
        most: usize::MAX,
        kind: Kind::Node,
    },
    Peer {
        name: "apalis",
        shown: "apalis-redis 1.0.0",
        setup: "concurrency 256, batches of 256; stops for good at 8,000 due jobs",
        most: 5_000,
        kind: Kind::Child,
    },
    Peer {
        name: "river",
        shown: "riverqueue 0.1",
        setup: "concurrency 1000, 2 ms between fetches, on Postgres",
        most: usize::MAX,
        kind: Kind::Child,
    },
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

impl Peer {
    /// Installs it into a folder that git ignores, once.
    pub async fn install(&self) -> anyhow::Result<()> {
        let folder = folder();
        match self.kind {
            Kind::Child => Ok(()),
            Kind::Python if folder.join("venv/installed").exists() => Ok(()),
            Kind::Python => {
                let venv = folder.join("venv");
                run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv)).await?;
                let pip = ["-m", "pip", "install", "--quiet", "celery[redis]>=5.6,<6"];
                run(Command::new(venv.join("bin/python")).args(pip)).await?;
                Ok(std::fs::write(venv.join("installed"), "")?)
            }
            Kind::Node if folder.join("node_modules/ioredis").exists() => Ok(()),
            Kind::Node => {
                std::fs::create_dir_all(&folder)?;
                let npm = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
                run(Command::new("npm").args(npm).arg(&folder).args(["bullmq", "ioredis"])).await
            }
        }
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
            Kind::Python => {
                let mut command = Command::new(folder().join("venv/bin/python"));
                command.arg(script("celery_peer.py"));
                command
            }
            Kind::Node => {
                // Modules are looked for beside the script.
                let copy = folder().join("bullmq_peer.mjs");
                std::fs::copy(script("bullmq_peer.mjs"), &copy)?;
                let mut command = Command::new("node");
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

/// What a process prints in its last line.
pub async fn figures(child: Child) -> anyhow::Result<Value> {
    let output =
        tokio::time::timeout(PATIENCE, child.wait_with_output()).await.context("it did not end")??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(line) = text.lines().rfind(|line| line.starts_with('{')) {
        return Ok(serde_json::from_str(line)?);
    }
    if !output.status.success() {
        bail!(
            "it failed: {}",
            String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("without a word")
        );
    }
    Ok(Value::Null)
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
