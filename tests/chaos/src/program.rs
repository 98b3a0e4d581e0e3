//! The program around the queue, as it is shipped: its API, two workers that only relay the outbox, and its Postgres.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dogwatch_embedded::{Postgres, PostgresOptions};
use sqlx::{Connection, PgConnection};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::doors::Addresses;
use crate::fleet::Fleet;
use crate::guard::Guard;
use crate::process::NAMESPACE;
use crate::proxy::Proxy;

/// The places of its processes; all but the first are behind a proxy.
pub(crate) const PLACES: [&str; 3] = ["relay-1", "relay-2", "api-1"];
/// A queue that nobody uses: who serves it does nothing but relay.
pub(crate) const IDLE_QUEUE: &str = "idle";
/// What waits in the outbox is in Redis by then.
const DRAIN: Duration = Duration::from_secs(30);

/// What is there of it.
#[derive(Debug)]
pub(crate) struct Program {
    binary: PathBuf,
    folder: PathBuf,
    api: u16,
    database: String,
    /// Absent while it is dead.
    postgres: Mutex<Option<Postgres>>,
}

impl Program {
    /// Starts a Postgres and brings it to the program's schema.
    pub(crate) async fn prepare(folder: &Path, guard: &Guard) -> Result<Self> {
        let binary = std::env::current_exe()?.with_file_name("dogwatch");
        ensure!(binary.is_file(), "{} is not there: run `cargo build --package dogwatch`", binary.display());
        let postgres = start(folder, guard)?;
        let database = postgres.url();
        let program = Self {
            binary,
            folder: folder.to_owned(),
            api: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
            database,
            postgres: Mutex::new(Some(postgres)),
        };
        let mut migrate = tokio::process::Command::new(&program.binary);
        let output = migrate.arg("migrate").env("DATABASE_URL", &program.database).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(program)
    }

    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            program: self.binary.clone(),
            api: format!("http://127.0.0.1:{}", self.api),
            database: self.database.clone(),
        }
    }

    /// Says what runs at its places.
    pub(crate) async fn assign(
        &self,
        fleet: &Fleet,
        redis: std::net::SocketAddr,
        proxies: &mut BTreeMap<String, Proxy>,
    ) -> Result<()> {
        for (n, place) in PLACES.into_iter().enumerate() {
            let mut port = redis.port();
            if n > 0 {
                let proxy = Proxy::start(redis).await?;
                port = proxy.port;
                proxies.insert(place.to_owned(), proxy);
            }
            // The folder tells the guard whose it is.
            let mut arguments = vec!["--data-dir".to_owned(), self.folder.display().to_string()];
            if place.starts_with("api") {
                arguments.push("api".to_owned());
            } else {
                arguments.extend(["worker", "--queues", IDLE_QUEUE].map(str::to_owned));
            }
            let variables = [
                ("DATABASE_URL", self.database.clone()),
                ("REDIS_URL", format!("redis://127.0.0.1:{port}/")),
                ("DOGWATCH_QUEUE_NAMESPACE", NAMESPACE.to_owned()),
                ("DOGWATCH_API_LISTEN", format!("127.0.0.1:{}", self.api)),
            ];
            let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
            fleet.assign_program(place, self.binary.clone(), arguments, variables);
        }
        Ok(())
    }

    /// `kill -9` of its Postgres, which is started again after a while.
    pub(crate) async fn kill_postgres(&self, lasts: Duration, guard: &Guard) -> Result<()> {
        let mut postgres = self.postgres.lock().await;
        if let Some(mut killed) = postgres.take() {
            killed.kill();
        }
        tokio::time::sleep(lasts).await;
        *postgres = Some(start(&self.folder, guard)?);
        Ok(())
    }

    /// Waits until the outbox is empty.
    pub(crate) async fn drain(&self) -> Result<()> {
        let began = Instant::now();
        let mut connection = PgConnection::connect(&self.database).await?;
        loop {
            let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM dogwatch.job_outbox")
                .fetch_one(&mut connection)
                .await?;
            if waiting == 0 {
                return Ok(());
            }
            ensure!(began.elapsed() < DRAIN, "{waiting} jobs are in the outbox {DRAIN:?} after the last");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn start(folder: &Path, guard: &Guard) -> Result<Postgres> {
    let options = PostgresOptions::default();
    // On this thread: the compiler cannot see that the future may be sent to another.
    let start = || Handle::current().block_on(Postgres::start(folder, options, &|_| ()));
    let postgres = tokio::task::block_in_place(start).context("Postgres does not start")?;
    guard.watch(postgres.id());
    Ok(postgres)
}
