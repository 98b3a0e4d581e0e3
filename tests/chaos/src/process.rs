//! The processes of the system under test: a worker, a scheduler, a producer. Each is this program once more, built on
//! nothing but the queue's public interface.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use dogwatch_queue::scheduler::Book;
use dogwatch_queue::{Cancelled, Client, Control, NewJob, Producer, Scheduler, Settings, Stop, Worker};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::doors::{Addresses, Doors};
use crate::entrance::{CELERY_LIST, Entrance};
use crate::event::{Answer, What};
use crate::jobs;
use crate::ledger::Ledger;
use crate::sabotage::Sabotage;
use crate::way::Way;
use crate::workload::{QUEUES, Workload};
use crate::world::{OTHER_BOOK, OTHER_FILE};
use crate::{stall, watch};

/// First part of every key.
pub(crate) const NAMESPACE: &str = "chaos";
/// A lease, short, so that many lapse.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// How often a worker looks for jobs in no collection: soon, so that they end within the run.
const RECONCILE_EVERY: Duration = Duration::from_secs(2);

/// What every process is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// The folder of the run.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Its name in the ledger.
    #[arg(long)]
    pub(crate) name: String,
    /// Redis, or a proxy before it.
    #[arg(long)]
    pub(crate) url: String,
    /// A protection of the queue to switch off.
    #[arg(long)]
    pub(crate) sabotage: Option<Sabotage>,
}

impl Common {
    fn start(&self) -> Result<(Client, Arc<Ledger>)> {
        let ledger = Arc::new(Ledger::open(&self.dir, &self.name)?);
        watch::start(&self.dir, &self.name, ledger.clone())?;
        stall::watch_this_process(ledger.clone());
        let client = Client::open(&self.url, NAMESPACE)?;
        let client = match self.sabotage {
            Some(sabotage) => client.with_scripts(sabotage.scripts()),
            None => client,
        };
        Ok((client, ledger))
    }
}

/// What a worker keeps of ended jobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) seconds: u64,
    pub(crate) count: u32,
}

/// Long enough for the harvest, short enough for what is kept to reach its level.
pub(crate) const KEEP: Keep = Keep { seconds: 25, count: 1_000_000 };
/// At the end, to see that the rest goes.
pub(crate) const KEEP_LITTLE: Keep = Keep { seconds: 3600, count: 20 };

/// The defaults of the project but for what has to be quick.
fn settings(keep: Keep, concurrency: u32) -> Result<Settings> {
    const DEFAULTS: &str = include_str!("../../../dogwatch.toml");
    let Some(toml::Value::Table(mut queue)) = DEFAULTS.parse::<toml::Table>()?.remove("queue") else {
        anyhow::bail!("dogwatch.toml has no section `queue`");
    };
    let seconds = format!("{}s", keep.seconds);
    let mut set = |key: &str, value: toml::Value| queue.insert(key.to_owned(), value);
    let queues = QUEUES.map(|(name, weight)| format!("{name}:{weight}")).to_vec();
    set("namespace", NAMESPACE.into());
    set("queues", queues.into());
    set("concurrency", concurrency.into());
    set("lease", format!("{}s", LEASE.as_secs()).into());
    set("poll", "200ms".into());
    // Shorter than many jobs, so that some are given back.
    set("drain", "3s".into());
    set("keep_succeeded", seconds.clone().into());
    set("keep_succeeded_count", keep.count.into());
    set("keep_dead", seconds.into());
    set("keep_dead_count", keep.count.into());
    let limit = toml::Table::from_iter([("concurrency".to_owned(), jobs::LIMIT.into())]);
    set("limits", toml::Table::from_iter([("limited".to_owned(), limit.into())]).into());
    let mut settings: Settings = toml::Value::Table(queue).try_into()?;
    settings.reconcile_every = RECONCILE_EVERY;
    settings.celery.queues = vec![CELERY_LIST.to_owned()];
    settings.validate().map_err(|(key, reason)| anyhow::anyhow!("{key}: {reason}"))?;
    Ok(settings)
}

/// SIGTERM drains; a second one ends at once.
fn stop_on_sigterm() -> Result<Stop> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = Stop::default();
    let tell = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        tell.drain.cancel();
        terminate.recv().await;
        tell.now.cancel();
    });
    Ok(stop)
}

pub(crate) async fn worker(common: &Common, keep: Keep, concurrency: u32, old: bool) -> Result<()> {
    let (client, ledger) = common.start()?;
    let registry = if old { jobs::old_registry() } else { jobs::registry() };
    let worker = Worker::new(client, registry, ledger, settings(keep, concurrency)?, "chaos");
    worker.run(stop_on_sigterm()?).await;
    Ok(())
}

pub(crate) async fn scheduler(common: &Common, file: &Path) -> Result<()> {
    let (client, ledger) = common.start()?;
    let catalog = jobs::registry().catalog();
    let scheduler = Scheduler::new(client.clone(), Book::default(), catalog.clone(), file.to_owned())?;
    // Beside it the scheduler of another book, as of a second program.
    let other = Book::new(OTHER_BOOK).map_err(anyhow::Error::msg)?;
    let other = Scheduler::new(client, other, catalog, file.with_file_name(OTHER_FILE))?;
    ledger.write(What::Ready);
    let stop = stop_on_sigterm()?.drain;
    tokio::join!(scheduler.run(stop.clone()), other.run(stop));
    Ok(())
}

/// Enqueues `rate` jobs a second by all ways until it is told to stop.
pub(crate) async fn producer(common: &Common, seed: u64, rate: f64, doors: Option<&Addresses>) -> Result<()> {
    let (client, ledger) = common.start()?;
    let stop = stop_on_sigterm()?.drain;
    let mut lanes = tokio::task::JoinSet::new();
    for (n, (way, share)) in
        (0..).zip(Way::SHARES).filter(|(_, (way, _))| doors.is_some() || !way.is_a_door())
    {
        let catalog = jobs::registry().catalog();
        let lane = Lane {
            way,
            pause: Duration::from_secs_f64(f64::from(way.group()) * 100.0 / (rate * f64::from(share))),
            workload: Workload::new(seed.wrapping_mul(31).wrapping_add(n)),
            entrance: Entrance::new(
                Producer::new(client.clone(), catalog.clone()),
                &common.url,
                doors.filter(|_| way.is_a_door()).map(|doors| Doors::new(doors.clone(), &common.url)),
            ),
            control: Control::new(client.clone(), catalog),
            ledger: ledger.clone(),
            stop: stop.clone(),
        };
        let stop = stop.clone();
        lanes.spawn(async move {
            let mut lane = lane;
            while !stop.is_cancelled() {
                lane.turn().await;
                stop.run_until_cancelled(tokio::time::sleep(lane.pause)).await;
            }
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended.context("a producer has failed")?;
    }
    Ok(())
}

/// One way in and what comes by it.
struct Lane {
    way: Way,
    pause: Duration,
    workload: Workload,
    entrance: Entrance,
    control: Control,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
}

impl Lane {
    async fn turn(&mut self) {
        let group = self.way.group();
        let jobs: Vec<NewJob> = (0..group).map(|_| self.way.tell(self.workload.next())).collect();
        for job in &jobs {
            self.ledger.write(What::Asked {
                id: id(job),
                queue: job.queue.clone(),
                way: self.way.name().to_owned(),
                job: job.job.clone(),
                max_attempts: self.way.max_attempts(job),
            });
        }
        if self.way == Way::Outbox && self.workload.below(8) == 0 {
            for job in &jobs {
                self.ledger.write(What::Withdrawn { id: id(job) });
            }
            // Whatever comes of it, they must not be there.
            let _ = self.entrance.withdraw(&jobs).await;
            return;
        }
        let repeats = self.way.repeats();
        for repeat in 0..=repeats {
            match self.entrance.send(self.way, &jobs).await {
                Ok(stored) => {
                    for (job, stored) in jobs.iter().zip(stored) {
                        self.ledger.write(What::Acknowledged { id: id(job), stored });
                    }
                    break;
                }
                Err(error) if repeat == repeats || self.stop.is_cancelled() => {
                    for job in &jobs {
                        self.ledger.write(What::Refused { id: id(job), error: format!("{error:#}") });
                    }
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        if self.workload.below(100) < 3 {
            self.cancel(&id(&jobs[0])).await;
        }
    }

    /// Calls a job off, wherever it is by now.
    async fn cancel(&mut self, id: &str) {
        let answer = match self.control.cancel(id).await {
            Ok(Some(Cancelled::Cancelled)) => Answer::Cancelled,
            Ok(Some(Cancelled::Told)) => Answer::Told,
            Ok(_) => Answer::TooLate,
            Err(_) => Answer::None,
        };
        self.ledger.write(What::Cancelled { id: id.to_owned(), answer });
    }
}

fn id(job: &NewJob) -> String {
    job.id.clone().unwrap_or_default()
}
