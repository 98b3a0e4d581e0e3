//! Settings become clients, clients become services: the only place where anything is constructed.

use anyhow::Context;
use dogwatch_jobs::{Alerting, HostSampler, Section, ServiceTarget, Services, host_name};
use dogwatch_notify::Notifier;
use dogwatch_queue::{Client, Control, Inspector, LogLimit, Producer, Scheduler, Worker};
use dogwatch_store::Store;
use secrecy::ExposeSecret;
use std::path::Path;

use crate::config::Config;
use crate::database_clock;
use crate::relay::Relay;
use crate::watchdog::Watchdog;

const NO_REDIS: &str = "no Redis is configured: set REDIS_URL or `url` in [queue] of dogwatch.toml, \
                        or start `dogwatch up` in this folder";
const NO_POSTGRES: &str = "no Postgres is configured: set DATABASE_URL or `url` in [store] of dogwatch.toml, \
                           or start `dogwatch up` in this folder";

/// The handle on Redis. Connects at the first command.
pub fn queue(config: &Config) -> anyhow::Result<Client> {
    let url = config.queue.url.as_ref().context(NO_REDIS)?;
    Ok(Client::open(url.expose_secret(), &config.queue.namespace)?)
}

/// The handle on Postgres. Connects at the first query.
pub fn store(config: &Config) -> anyhow::Result<Store> {
    let url = config.store.url.as_ref().context(NO_POSTGRES)?;
    Ok(Store::connect(url.expose_secret(), &config.store)?)
}

/// The handle on Postgres, and the settings with the changes that people have made while Dogwatch runs: a command
/// on this machine goes by the same as jobs and API.
pub async fn store_with_changes(config: Config) -> anyhow::Result<(Store, Config)> {
    let store = store(&config)?;
    let changes = store.setting_changes().await?;
    let (jobs, monitoring) = (config.jobs.changed(&changes), config.monitoring.changed(&changes));
    Ok((store, Config { monitoring, jobs, ..config }))
}

/// What alerts go by.
pub fn alerting(config: &Config) -> anyhow::Result<Alerting> {
    config.alerting().map_err(|(key, reason)| anyhow::anyhow!("{key}: {reason}"))
}

/// The channels for alerts.
pub fn notifier(config: &Config) -> anyhow::Result<Notifier> {
    Notifier::new(&config.notify).context("cannot set up the channels of [notify]")
}

/// Who enqueues.
pub fn producer(client: &Client) -> Producer {
    Producer::new(client.clone(), dogwatch_jobs::registry().catalog())
}

/// Who looks into the queues.
pub fn inspector(client: &Client) -> Inspector {
    Inspector::new(client.clone())
}

/// Who carries out what people order.
pub fn control(client: &Client) -> Control {
    Control::new(client.clone(), dogwatch_jobs::registry().catalog())
}

/// What jobs use. Has to be called inside a Tokio runtime.
pub fn services(config: &Config) -> anyhow::Result<Services> {
    let store = store(config)?;
    let clock = database_clock::start(&store);
    Ok(Services {
        store,
        alerting: alerting(config)?,
        notifier: notifier(config)?,
        inspector: inspector(&queue(config)?),
        http: http(reqwest::Client::builder())?,
        http_here: http(reqwest::Client::builder().no_proxy())?,
        clock,
        host: HostSampler::new(host_name()),
        targets: targets(config),
        watched_databases: config.watched_databases.clone(),
        settings: config.jobs.clone(),
        limits_reached: LogLimit::default(),
    })
}

/// For health checks, which follow redirects by themselves.
fn http(builder: reqwest::ClientBuilder) -> anyhow::Result<reqwest::Client> {
    builder
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dogwatch/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot set up the HTTP client")
}

/// Who runs jobs.
pub fn worker(config: &Config) -> anyhow::Result<Worker<Services>> {
    let registry = dogwatch_jobs::registry();
    let settings = dogwatch_queue::Settings { celery: config.celery.clone(), ..config.queue.clone() };
    Ok(Worker::new(queue(config)?, registry, services(config)?, settings, &host_name()))
}

/// Who enqueues what is due.
pub fn scheduler(config: &Config, schedules: &Path) -> anyhow::Result<Scheduler> {
    let catalog = dogwatch_jobs::registry().catalog();
    let book = config.scheduler.book.clone();
    Ok(Scheduler::new(queue(config)?, book, catalog, schedules.to_owned())?)
}

/// Who watches over the schedules.
pub fn watchdog(config: &Config, schedules: &Path) -> anyhow::Result<Watchdog> {
    let catalog = dogwatch_jobs::registry().catalog();
    Ok(Watchdog::new(services(config)?, &config.scheduler.book, catalog, schedules.to_owned()))
}

/// Who brings jobs from the outbox in Postgres to Redis.
pub fn relay(config: &Config) -> anyhow::Result<Relay> {
    Ok(Relay::new(store(config)?, producer(&queue(config)?), &host_name()))
}

/// The configured services, and our own Postgres and Redis.
fn targets(config: &Config) -> Vec<ServiceTarget> {
    let own = [("dogwatch-postgres", &config.store.url), ("dogwatch-redis", &config.queue.url)];
    let own = own.into_iter().filter_map(|(name, url)| Some(ServiceTarget::new(name, url.clone()?)));
    let configured = config.services.iter().cloned();
    let names: Vec<&str> = config.services.iter().map(|service| service.name.as_str()).collect();
    own.filter(|target| !names.contains(&target.name.as_str())).chain(configured).collect()
}
