//! `dogwatch up`: everything in one process, with a Postgres and a Redis of its own where none is configured.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use dogwatch_embedded::{FolderLock, Postgres, PostgresOptions, Redis};
use dogwatch_queue::{Outage, Stop};
use dogwatch_store::Store;
use secrecy::{ExposeSecret, SecretString};

use super::running::Running;
use super::serve::{StartedApi, start_api, start_relay, start_scheduler, start_watchdog, start_worker};
use super::{Global, flag, output, schedules};
use crate::config::Config;
use crate::lifecycle::{self, Roles};
use crate::{telemetry, wiring};

/// Run everything in one process
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch up --listen 127.0.0.1:9000\n\n\
    DATABASE_URL and REDIS_URL make it use servers of yours.")]
pub(super) struct Up {
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

/// Servers that this process has started.
#[derive(Default)]
struct OwnServers {
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Up {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let flags = flag("--listen", "api.listen", self.listen);
        let mut config = global.settings(flags.into_iter().collect())?;
        telemetry::init(&config.log).map_err(super::usage)?;
        // Before anything is started: a mistake in a file is told at once.
        schedules::read(global)?;
        let stop = lifecycle::stop_on_signals()?;
        let lock = FolderLock::take(&global.data_dir)?;
        let mut servers = OwnServers::default();
        let ended = tokio::select! {
            ended = start(&mut config, &mut servers, global, &stop) => ended,
            () = stop.drain.cancelled() => Ok(None),
        };
        let code = match ended {
            Ok(Some((roles, announcement))) => {
                let code = roles.finish(&stop).await;
                drop(announcement);
                Ok(code)
            }
            Ok(None) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error),
        };
        servers.stop().await;
        drop(lock);
        code
    }
}

type Started = Option<(Roles, super::running::Announcement)>;

async fn start(
    config: &mut Config,
    servers: &mut OwnServers,
    global: &Global,
    stop: &Stop,
) -> anyhow::Result<Started> {
    let began = Instant::now();
    servers.start(config, global).await?;
    migrate(&wiring::store(config)?).await?;

    let mut roles = Roles::with_api()?;
    let worker = wiring::worker(config)?;
    let StartedApi { url: api_url, sign_in } =
        start_api(config, global, Some(worker.pulse()), stop, &mut roles).await?;
    let url = |secret: &Option<SecretString>| {
        secret.as_ref().map(|url| url.expose_secret().to_owned()).unwrap_or_default()
    };
    let running = Running {
        pid: std::process::id(),
        api_url: api_url.clone(),
        database_url: url(&config.store.url),
        redis_url: url(&config.queue.url),
    };
    let announcement = running.announce(&global.data_dir)?;
    output::line(&format!("Dogwatch is up after {:.1} s. The API: {api_url}", began.elapsed().as_secs_f64()));
    if let Some(link) = sign_in {
        output::line(&format!("The dashboard: {link}"));
        output::line("The link signs a browser in once; `dogwatch sign-in` prints another.");
    }
    output::line("Next:");
    schedules::print_next(&schedules::infos(&schedules::read(global)?, 1));
    output::line("In a second terminal in this folder: dogwatch jobs list. Ctrl-C stops everything.\n");
    start_worker(worker, config, stop, &mut roles);
    start_relay(config, stop, &mut roles)?;
    start_scheduler(config, global, stop, &mut roles)?;
    start_watchdog(config, global, stop, &mut roles)?;
    Ok(Some((roles, announcement)))
}

impl OwnServers {
    /// Starts what is not configured.
    async fn start(&mut self, config: &mut Config, global: &Global) -> anyhow::Result<()> {
        let folder = &global.data_dir;
        if config.store.url.is_none() {
            output::note(&format!("starting a private Postgres in {}", folder.display()));
            let say = |step: &str| output::note(step);
            let postgres = Postgres::start(folder, PostgresOptions::default(), &say).await?;
            config.store.url = Some(postgres.url().into());
            self.postgres = Some(postgres);
        }
        if config.queue.url.is_none() {
            output::note(&format!("starting a private Redis in {}", folder.display()));
            let redis = Redis::start(folder).await?;
            config.queue.url = Some(redis.url().into());
            self.redis = Some(redis);
        }
        Ok(())
    }

    async fn stop(self) {
        let redis = async {
            if let Some(redis) = self.redis {
                redis.stop().await;
            }
        };
        let postgres = async {
            if let Some(postgres) = self.postgres {
                postgres.stop().await;
            }
        };
        tokio::join!(redis, postgres);
    }
}

/// Applies the migrations; waits for a Postgres that is away.
async fn migrate(store: &Store) -> anyhow::Result<()> {
    let mut outage = Outage::of("postgres");
    loop {
        match store.migrate().await {
            Ok(applied) => {
                outage.over();
                if applied > 0 {
                    output::note(&format!("applied migrations: {applied}"));
                }
                return Ok(());
            }
            Err(error) if error.is_unavailable() => outage.wait("migrate the database", &error).await,
            Err(error) => return Err(error).context("the database cannot be used"),
        }
    }
}
