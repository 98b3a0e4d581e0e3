//! The program under test: one `dogwatch up` with keys, and what is seen of it from outside.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const START_LIMIT: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A running `dogwatch up`; killed when dropped.
pub(super) struct Subject {
    folder: TempDir,
    program: PathBuf,
    child: Child,
    api: SocketAddr,
    otlp: SocketAddr,
    /// With the scope `ingest`.
    pub(super) honest_key: String,
    /// With the scopes `ingest` and `alerts`.
    pub(super) hostile_key: String,
    pub(super) http: reqwest::Client,
}

/// What was seen of the process.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) answers: u64,
    pub(super) unanswered: u64,
    pub(super) slowest: Duration,
    pub(super) peak_mib: u64,
}

impl Subject {
    pub(super) async fn start(program: &Path, receiver: SocketAddr) -> Result<Self> {
        let folder = TempDir::new()?;
        let (api, otlp) = (free()?, free()?);
        fs::write(
            folder.path().join("dogwatch.toml"),
            format!(
                "[api]\nlisten = \"{api}\"\n[otlp]\nlisten = [\"{otlp}\"]\n\
                 [[notify.webhooks]]\nname = \"ops\"\nurl = \"http://{receiver}/\"\nlimit = \"1000/1h\"\n"
            ),
        )?;
        let schedules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schedules.toml");
        fs::copy(schedules, folder.path().join("schedules.toml"))?;
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new(program)
            .arg("up")
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let http = reqwest::Client::builder().timeout(Duration::from_mins(1)).build()?;
        let mut subject = Self {
            folder,
            program: program.to_owned(),
            child,
            api,
            otlp,
            honest_key: String::new(),
            hostile_key: String::new(),
            http,
        };
        let began = Instant::now();
        while subject.http.get(format!("http://{api}/livez")).send().await.is_err() {
            ensure!(began.elapsed() < START_LIMIT, "`up` does not answer");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        subject.honest_key = subject.key("honest", &["ingest"])?;
        subject.hostile_key = subject.key("hostile", &["ingest", "alerts"])?;
        Ok(subject)
    }

    fn key(&self, name: &str, scopes: &[&str]) -> Result<String> {
        let output = Command::new(&self.program)
            .args(["keys", "create", name, "--json"])
            .args(scopes.iter().flat_map(|scope| ["--scope", scope]))
            .current_dir(&self.folder)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok(made["secret"].as_str().context("no key was printed")?.to_owned())
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn api(&self) -> SocketAddr {
        self.api
    }

    pub(super) fn otlp(&self) -> SocketAddr {
        self.otlp
    }

    pub(super) fn traces_url(&self) -> String {
        format!("http://{}/v1/traces", self.otlp)
    }

    pub(super) fn api_url(&self, path: &str) -> String {
        format!("http://{}/api/v1/{path}", self.api)
    }

    /// Memory in use now.
    pub(super) fn memory_mib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024)
    }

    /// The number that a query returns.
    pub(super) async fn number(&self, query: &'static str) -> Result<i64> {
        let running = fs::read_to_string(self.folder.path().join(".dogwatch/up.json"))?;
        let running: serde_json::Value = serde_json::from_str(&running)?;
        let url = running["database_url"].as_str().context("no address of Postgres")?;
        let mut postgres = PgConnection::connect(url).await?;
        let number = sqlx::query_scalar(query).fetch_one(&mut postgres).await?;
        postgres.close().await?;
        Ok(number)
    }

    /// Stops it. Its folder is kept when a promise was broken.
    pub(super) fn end(mut self, is_kept: bool) -> Result<()> {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.child.id().try_into()?),
            nix::sys::signal::Signal::SIGTERM,
        )?;
        self.child.wait()?;
        if !is_kept {
            self.folder.disable_cleanup(true);
            println!("kept: {}", self.folder.path().display());
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Fails when it has ended before, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks whether the process lives, and how much memory it uses, until `stop`.
pub(super) async fn watch(subject: Arc<Subject>, stop: CancellationToken) -> Seen {
    let mut seen = Seen::default();
    let url = format!("http://{}/livez", subject.api());
    while !stop.is_cancelled() {
        let began = Instant::now();
        match subject.http.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => {
                seen.answers += 1;
                seen.slowest = seen.slowest.max(began.elapsed());
            }
            _ => seen.unanswered += 1,
        }
        seen.peak_mib = seen.peak_mib.max(subject.memory_mib().unwrap_or_default());
        stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
    }
    seen
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
