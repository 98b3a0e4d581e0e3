//! `dogwatch api`, `worker`, `scheduler`: one role in a process, for who runs more than one machine.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use dogwatch_jobs::Services;
use dogwatch_queue::{Pulse, Stop};

use tokio::net::TcpListener;

use super::{Global, flag, sign_in, usage};
use crate::api::{self, ApiState};
use crate::config::Config;
use crate::lifecycle::{self, Roles};
use crate::wiring;

/// Run the HTTP API
#[derive(Debug, Args)]
pub(super) struct Api {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

/// Run jobs
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch worker --queues default,reports --concurrency 32")]
pub(super) struct Worker {
    /// Queues to serve
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    queues: Option<Vec<String>>,
    /// Jobs to run at the same time
    #[arg(long, value_name = "N")]
    concurrency: Option<i64>,
    /// Serve /livez here: it fails when jobs wait and the worker takes none
    #[arg(long, value_name = "ADDRESS:PORT")]
    health: Option<SocketAddr>,
}

impl Api {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let flags = flag("--listen", "api.listen", self.listen);
        let config = global.server_settings(flags.into_iter().collect())?;
        let stop = lifecycle::stop_on_signals()?;
        let mut roles = Roles::default();
        start_api(&config, global, None, &stop, &mut roles).await?;
        Ok(roles.finish(&stop).await)
    }
}

impl Worker {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let flags = [
            flag("--queues", "queue.queues", self.queues),
            flag("--concurrency", "queue.concurrency", self.concurrency),
        ];
        let config = global.server_settings(flags.into_iter().flatten().collect())?;
        let stop = lifecycle::stop_on_signals()?;
        let mut roles = Roles::default();
        let worker = wiring::worker(&config)?;
        if let Some(address) = self.health {
            let listener = api::bind(address).await?;
            tracing::info!("the health check listens on http://{}/livez", listener.local_addr()?);
            let inspector = wiring::inspector(&wiring::queue(&config)?);
            roles.start(
                "health check",
                api::serve_liveness(listener, worker.pulse(), inspector, stop.clone()),
            );
        }
        start_worker(worker, &config, &stop, &mut roles);
        start_relay(&config, &stop, &mut roles)?;
        start_watchdog(&config, global, &stop, &mut roles)?;
        Ok(roles.finish(&stop).await)
    }
}

pub(super) async fn scheduler(global: &Global) -> anyhow::Result<ExitCode> {
    let config = global.server_settings(Vec::new())?;
    let stop = lifecycle::stop_on_signals()?;
    let mut roles = Roles::default();
    start_scheduler(&config, global, &stop, &mut roles)?;
    if config.store.url.is_some() {
        start_watchdog(&config, global, &stop, &mut roles)?;
    }
    Ok(roles.finish(&stop).await)
}

pub(super) async fn start_api(
    config: &Config,
    global: &Global,
    pulse: Option<Pulse>,
    stop: &Stop,
    roles: &mut Roles,
) -> anyhow::Result<StartedApi> {
    let state = ApiState::new(config, &global.schedules, &global.data_dir, pulse)?;
    if !config.is_loopback() {
        check_keys(config, &state).await?;
    }
    let listener = api::bind(config.api.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tracing::info!("the API listens on {url}");
    let code = state.keyring.sign_in_code().await.unwrap_or_default();
    let sign_in = code.map(|code| sign_in::link(&url, code.expose()));
    for address in &config.otlp.listen {
        start_otlp(*address, &state, stop, roles).await?;
    }
    let (router, stop) = (api::router(&state, &config.api), stop.clone());
    roles.start("api", async move { api::serve(listener, router, stop, &state.connections).await });
    Ok(StartedApi { url, sign_in })
}

/// An API that is served.
pub(super) struct StartedApi {
    /// Where.
    pub(super) url: String,
    /// A link with which a browser signs in once; absent where there are keys.
    pub(super) sign_in: Option<String>,
}

/// Nobody from outside comes in without a key; without one, nobody could.
async fn check_keys(config: &Config, state: &ApiState) -> anyhow::Result<()> {
    let has_key = state.store.has_valid_api_key(state.clock.now()).await;
    if has_key.context("cannot look whether there are API keys")? {
        tracing::warn!(
            listen = %config.api.listen,
            "the API and OpenTelemetry are served without TLS: where others can listen on the network, put a proxy with \
             TLS before them, since keys are sent in clear text"
        );
        return Ok(());
    }
    Err(usage(format!(
        "`{}` can be reached from outside, and there is no API key; make one with `dogwatch keys create NAME --scope admin`, \
         or listen on 127.0.0.1:{}",
        config.api.listen,
        config.api.listen.port()
    )))
}

/// Listens to exporters where they send to by themselves, if nobody else does.
async fn start_otlp(
    address: SocketAddr,
    state: &ApiState,
    stop: &Stop,
    roles: &mut Roles,
) -> anyhow::Result<()> {
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            tracing::info!("{address} is taken: exporters have to be told of the API's address");
            return Ok(());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot listen on {address} (otlp.listen)")),
    };
    tracing::info!("OpenTelemetry is taken at http://{}", listener.local_addr()?);
    let (router, stop, connections) = (api::otlp_router(state), stop.clone(), state.connections.clone());
    roles.start("otlp", async move { api::serve(listener, router, stop, &connections).await });
    Ok(())
}

pub(super) fn start_worker(
    worker: dogwatch_queue::Worker<Services>,
    config: &Config,
    stop: &Stop,
    roles: &mut Roles,
) {
    tracing::info!(queues = ?config.queue.queues, concurrency = config.queue.concurrency, "worker {}", worker.identity());
    let stop = stop.clone();
    roles.start_apart("worker", async move {
        worker.run(stop).await;
        Ok(())
    });
}

pub(super) fn start_watchdog(
    config: &Config,
    global: &Global,
    stop: &Stop,
    roles: &mut Roles,
) -> anyhow::Result<()> {
    let watchdog = wiring::watchdog(config, &global.schedules)?;
    let stop = stop.clone();
    roles.start_apart("watchdog", async move {
        watchdog.run(stop).await;
        Ok(())
    });
    Ok(())
}

pub(super) fn start_relay(config: &Config, stop: &Stop, roles: &mut Roles) -> anyhow::Result<()> {
    let relay = wiring::relay(config)?;
    let stop = stop.clone();
    roles.start_apart("relay", async move {
        relay.run(stop).await;
        Ok(())
    });
    Ok(())
}

pub(super) fn start_scheduler(
    config: &Config,
    global: &Global,
    stop: &Stop,
    roles: &mut Roles,
) -> anyhow::Result<()> {
    let scheduler = wiring::scheduler(config, &global.schedules)?;
    tracing::info!(
        schedules = scheduler.schedules().enabled().count(),
        "scheduler of {}",
        global.schedules.display()
    );
    let drain = stop.drain.clone();
    roles.start_apart("scheduler", async move {
        scheduler.run(drain).await;
        Ok(())
    });
    Ok(())
}
