//! `cargo run --release` measures the data plane beside plain Postgres, in one run, on the same server; with `health` behind it,
//! how late the checks of a thousand services are; with `dashboard`, what its first view costs; with `trends`, what a run of trend
//! analysis of ten thousand series takes.

mod dashboard;
mod health;
mod ingest;
mod spans;
mod trends;
mod upkeep;
mod windows;

use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context;
use dogwatch_embedded::{Postgres, PostgresOptions};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start(folder.path(), PostgresOptions::default(), &|_| ()).await?;
    let api = Api::start(&postgres.url()).await?;
    match std::env::args().nth(1).as_deref() {
        Some("health") => return health::measure(&postgres.url(), folder.path()).await,
        Some("trends") => return trends::measure(&postgres.url()).await,
        Some("dashboard") => return dashboard::measure(&api, &postgres.url()).await,
        _ => {}
    }
    ingest::measure(&api, &postgres.url()).await?;
    windows::measure(&api, &postgres.url()).await?;
    upkeep::measure(&postgres.url()).await?;
    trends::measure(&postgres.url()).await?;
    drop(api);
    postgres.stop().await;
    Ok(())
}

/// Beside the program, with its tables: a schema of the name of the role would come first.
pub async fn connect(database: &str) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = database.parse()?;
    Ok(PgPool::connect_with(options.options([("search_path", "public")])).await?)
}

/// The program's API, in a process of its own.
pub struct Api {
    child: Child,
    pub url: String,
}

pub const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/dogwatch");
const LISTEN: &str = "127.0.0.1:18787";

impl Api {
    async fn start(database: &str) -> anyhow::Result<Self> {
        let command = |role: &str| {
            let mut command = Command::new(PROGRAM);
            command.arg(role).env("DATABASE_URL", database).env("REDIS_URL", "redis://127.0.0.1:1");
            command
                .env("DOGWATCH_API_LISTEN", LISTEN)
                .env("DOGWATCH_OTLP_LISTEN", "")
                .env("DOGWATCH_LOG_FILTER", "warn");
            command
        };
        anyhow::ensure!(command("migrate").status().context(PROGRAM)?.success(), "cannot migrate");
        let child = command("api").spawn()?;
        while tokio::net::TcpStream::connect(LISTEN).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { child, url: format!("http://{LISTEN}") })
    }

    /// Peak of the memory it has taken, in MB.
    pub fn peak_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
