//! `cargo run --release` measures the data plane beside plain Postgres, in one run, on the same server. Each part
//! has servers of its own, so that none depends on what another has left.

mod dashboard;
mod health;
mod ingest;
mod spans;
mod trends;
mod upkeep;
mod windows;

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use dogwatch_bench_support as support;
use dogwatch_embedded::{Postgres, PostgresOptions};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

/// How long a part may take.
const LIMIT: Duration = Duration::from_secs(2 * 3600);
const QUICK_LIMIT: Duration = Duration::from_secs(180);

/// The data plane beside plain Postgres.
#[derive(Parser)]
struct Cli {
    /// Only these; health and dashboard are measured only if they are named, or if the run is quick
    parts: Vec<Part>,
    /// Shows in a minute that everything runs; the figures mean nothing
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// A million spans over HTTP
    Ingest,
    /// Windows over ten million requests
    Windows,
    /// Retention and rollups
    Upkeep,
    /// A run of trend analysis of ten thousand series
    Trends,
    /// The first view of the dashboard over ten million requests
    Dashboard,
    /// How late the checks of a thousand services are
    Health,
}

impl Cli {
    fn parts(&self) -> &[Part] {
        let usual = [Part::Ingest, Part::Windows, Part::Upkeep, Part::Trends].as_slice();
        match self.parts.as_slice() {
            [] if self.quick => Part::value_variants(),
            [] => usual,
            named => named,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    for part in cli.parts() {
        let limit = if cli.quick { QUICK_LIMIT } else { LIMIT };
        let measured = tokio::time::timeout(limit, part.measure(cli.quick)).await;
        let measured = measured.unwrap_or_else(|_| Err(anyhow::anyhow!("not done within {limit:?}")));
        measured.with_context(|| format!("{part:?}"))?;
    }
    support::note(cli.quick);
    Ok(())
}

impl Part {
    async fn measure(self, quick: bool) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let postgres = Postgres::start(folder.path(), PostgresOptions::default(), &|_| ()).await?;
        let bench = Bench { database: postgres.url(), program: support::program(quick), quick };
        bench.run(&["migrate"])?;
        match self {
            Self::Ingest => ingest::measure(&bench).await?,
            Self::Windows => windows::measure(&bench).await?,
            Self::Upkeep => upkeep::measure(&bench).await?,
            Self::Trends => trends::measure(&bench).await?,
            Self::Dashboard => dashboard::measure(&bench).await?,
            Self::Health => health::measure(&bench, folder.path()).await?,
        }
        postgres.stop().await;
        Ok(())
    }
}

/// What a part measures with.
pub struct Bench {
    /// Of this part alone.
    database: String,
    /// The program of Dogwatch.
    program: PathBuf,
    pub quick: bool,
}

impl Bench {
    /// As much as is measured, or in a quick run this little.
    pub fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The program with this database and no Redis.
    pub fn program(&self) -> Command {
        self.configured(Command::new(&self.program))
    }

    /// The same, bound to one core.
    pub fn program_on_one_core(&self) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(&self.program);
        self.configured(command)
    }

    fn configured(&self, mut command: Command) -> Command {
        command.env("DATABASE_URL", &self.database).env("REDIS_URL", "redis://127.0.0.1:1");
        command.env("DOGWATCH_LOG_FILTER", "warn");
        command
    }

    /// Runs the program with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        succeed(self.program().args(arguments))
    }

    /// Connections to the tables of the program: a schema of the name of the role would come first.
    pub async fn connect(&self) -> anyhow::Result<PgPool> {
        let options: PgConnectOptions = self.database.parse()?;
        Ok(PgPool::connect_with(options.options([("search_path", "public")])).await?)
    }
}

/// Runs a command to its end; what it prints is shown only if it fails.
pub fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    anyhow::ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A process that is killed when dropped.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program's API, in a process of its own.
pub struct Api {
    process: Process,
    pub url: String,
    /// Shows what the owner of the data folder can read.
    pub client: reqwest::Client,
    /// For whoever looks at it with a browser.
    pub authorization: String,
    _data: tempfile::TempDir,
}

impl Api {
    pub async fn start(bench: &Bench) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let mut command = bench.program();
        command.arg("api").env("DOGWATCH_API_LISTEN", &listen).env("DOGWATCH_OTLP_LISTEN", "");
        let data = tempfile::tempdir()?;
        command.env("DOGWATCH_DATA_DIR", data.path());
        let mut process = Process(command.spawn()?);
        while tokio::net::TcpStream::connect(&listen).await.is_err() {
            if let Some(status) = process.0.try_wait()? {
                anyhow::bail!("the API has ended: {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let authorization = std::fs::read_to_string(data.path().join("authorization"))?;
        let authorization = authorization.trim().trim_start_matches("Authorization: ").to_owned();
        let headers = [(reqwest::header::AUTHORIZATION, authorization.parse()?)].into_iter().collect();
        let client = reqwest::Client::builder().default_headers(headers).build()?;
        Ok(Self { process, url: format!("http://{listen}"), client, authorization, _data: data })
    }

    /// Peak of the memory it has taken, in MB.
    pub fn peak_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}
