//! Conducts a run: sets everything up, lets the nemesis loose, waits until all jobs have ended, and asks the checker.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::checker::{self, Report};
use crate::event::{Fsync, What};
use crate::harvest::{self, Harvest};
use crate::nemesis::Nemesis;
use crate::process::LEASE;
use crate::proxy::Mode;
use crate::sabotage::Sabotage;
use crate::world::{SWEEPER, World};
use crate::{census, ledger, plan, remains, report, stall};

/// What runs, in the order in which it is started.
const KINDS: [&str; 4] = ["program", "worker", "scheduler", "producer"];
/// Before the first fault.
const START: Duration = Duration::from_millis(500);
/// After the last fault: leases that lapsed are taken over, a scheduler leads, and slots are made up for.
const AFTERMATH: Duration = Duration::from_secs(8);
/// All that waits has run by then.
const DRAIN: Duration = Duration::from_mins(1);
const SWEEP: Duration = Duration::from_secs(25);

/// What to do.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// Makes the same faults and the same jobs again. Absent: a random one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// How long faults are made: 90s, 2m, 1h.
    #[arg(long, default_value = "2m", value_parser = dogwatch_runtime::duration::parse)]
    duration: Duration,
    /// When Redis writes to disk. Absent: an even seed is `everysec`, an odd one is `always`.
    #[arg(long)]
    fsync: Option<Fsync>,
    /// Switch a protection of the queue off; the checker has to find it.
    #[arg(long)]
    sabotage: Option<Sabotage>,
    /// Jobs enqueued a second.
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// Where ledgers and logs are written and stay. Absent: a temporary folder, which stays when something was found.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Conducts a run. True when every promise was kept.
pub(crate) async fn run(args: RunArgs) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(|| rand::random::<u64>() % 1_000_000);
    let fsync = args.fsync.unwrap_or(if seed.is_multiple_of(2) { Fsync::Everysec } else { Fsync::Always });
    // Where Postgres may not run as root, another user has to come in.
    let folder = tempfile::Builder::new()
        .prefix("dogwatch-chaos-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()?;
    println!("seed {seed}, appendfsync {}, in {}", fsync.as_str(), folder.path().display());
    let conducted = conduct(&args, seed, fsync, folder.path()).await;
    let report = conducted.and_then(|()| check(folder.path()));
    let clean = report.as_ref().is_ok_and(Report::is_clean);
    // What a sabotage was found by is not worth keeping, unless someone asks.
    if let Some(keep) = &args.keep {
        std::fs::rename(folder.keep(), keep).context("cannot keep the ledgers there")?;
    } else if !clean && args.sabotage.is_none() {
        println!("the ledgers stay in {}", folder.keep().display());
    }
    report.map(|report| report.is_clean())
}

/// Checks the ledgers of a folder and prints the report.
pub(crate) fn check(folder: &Path) -> Result<Report> {
    let events = ledger::read(folder)?;
    let report = checker::check(&events);
    print!("{}", report::text(&events, &report));
    Ok(report)
}

async fn conduct(args: &RunArgs, seed: u64, fsync: Fsync, folder: &Path) -> Result<()> {
    let began = Instant::now();
    let world = World::build(folder, fsync, seed, args.rate, args.sabotage).await?;
    let world = Arc::new(world);
    let lease_ms = u64::try_from(LEASE.as_millis())?;
    world.ledger.write(What::Began { seed, fsync, lease_ms });
    stall::watch_this_process(world.ledger.clone());
    if !world.can_step_clocks() && args.sabotage.is_none() {
        println!("clocks are not stepped: libfaketime is not installed");
    }
    let stop = CancellationToken::new();
    let harvest = tokio::spawn(Harvest::new(world.clone()).run(stop.clone()));
    let watch = tokio::spawn(watch(world.clone(), stop.clone()));
    let weigh = tokio::spawn(harvest::weigh(world.clone(), stop.clone()));
    let census = tokio::spawn(census::run(world.clone(), stop.clone()));
    let probe = tokio::spawn(harvest::probe(world.clone(), stop.clone()));

    for kind in KINDS {
        for place in world.places(kind) {
            world.fleet.start(&place)?;
        }
    }
    sleep(START).await;
    let running = world.fleet.running().len();
    let expected: usize = KINDS.iter().map(|kind| world.places(kind).len()).sum();
    ensure!(running == expected, "a process does not even start");
    let planned = plan::plan(seed, args.duration, world.can_step_clocks(), args.sabotage);
    let until = Instant::now() + args.duration;
    Arc::new(Nemesis::new(world.clone())).run(planned).await?;
    sleep(until.saturating_duration_since(Instant::now())).await;
    world.proxies.values().for_each(|proxy| proxy.set(Mode::Open));

    sleep(if args.sabotage.is_some() { LEASE * 2 } else { AFTERMATH }).await;
    for place in world.places("producer") {
        world.fleet.stop(&place).await;
    }
    if let Some(program) = &world.program {
        program.drain().await?;
        for place in world.places("program") {
            world.fleet.stop(&place).await;
        }
    }
    world.ledger.write(What::SchedulersStop);
    for place in world.places("scheduler") {
        world.fleet.stop(&place).await;
    }
    // That a job has not ended only tells something where all had the time to.
    let comes_to_its_end = args.sabotage.is_none_or(|sabotage| sabotage == Sabotage::Claim);
    if comes_to_its_end && let Some(left) = harvest::drain(world.port, DRAIN).await {
        println!("{left} jobs had not ended {DRAIN:?} after the last was enqueued");
    }
    for place in world.places("worker") {
        if comes_to_its_end {
            world.fleet.stop(&place).await;
        } else {
            world.fleet.kill(&place).await;
        }
    }
    stop.cancel();
    harvest.await?.finish().await?;
    watch.await?;
    census.await?;
    weigh.await??;
    probe.await??;
    if args.sabotage.is_none() {
        world.fleet.start(SWEEPER)?;
        remains::look(&world, began.elapsed(), SWEEP).await?;
        world.fleet.stop(SWEEPER).await;
    }
    Ok(())
}

/// Notes processes that end by themselves, until `stop`.
async fn watch(world: Arc<World>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        world.fleet.look();
        sleep(Duration::from_millis(100)).await;
    }
}
