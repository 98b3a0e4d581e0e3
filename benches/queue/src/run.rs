//! Measures every peer, one after the other, each on empty servers, and prints the table.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::{Table, presets};
use dogwatch_bench_support as support;
use dogwatch_embedded::{Postgres, PostgresOptions, Redis, RedisOptions};
use serde_json::{Value, json};

use crate::peer::{PEERS, Peer, figures};
use crate::promises;

/// Everything that was measured: peer, figure, value.
pub type Figures = BTreeMap<String, BTreeMap<String, f64>>;

/// How much is measured.
struct Size {
    backlog: usize,
    large_backlog: usize,
    one: usize,
    pickups: usize,
    /// How long a worker has to start, and how long it is then observed doing nothing.
    settle: Duration,
    idle: Duration,
    repeats: u32,
    large_repeats: u32,
    /// Whether to wait for a lease of 30 s to lapse as well.
    long_lease: bool,
    /// How many schedules are due at once, and how often.
    schedules: usize,
    schedules_every: &'static str,
    /// How many slots of a lone schedule are observed.
    slots: usize,
    /// How long a peer may take for everything.
    limit: Duration,
}

const FULL: Size = Size {
    backlog: 100_000,
    large_backlog: 1_000_000,
    one: 20_000,
    pickups: 500,
    settle: Duration::from_secs(5),
    idle: Duration::from_secs(20),
    repeats: 5,
    large_repeats: 3,
    long_lease: true,
    schedules: 10_000,
    schedules_every: "10s",
    slots: 60,
    limit: Duration::from_secs(3600),
};
/// Enough for every process to have something to do.
const QUICK: Size = Size {
    backlog: 1_000,
    large_backlog: 3_000,
    one: 300,
    pickups: 30,
    settle: Duration::from_secs(2),
    idle: Duration::from_secs(2),
    repeats: 1,
    large_repeats: 1,
    long_lease: false,
    schedules: 500,
    schedules_every: "2s",
    slots: 3,
    limit: Duration::from_secs(180),
};

const REPEAT_FOR: Duration = Duration::from_secs(25);

/// The servers that all share.
struct Servers {
    redis: Redis,
    postgres: Postgres,
    redis_url: String,
}

pub async fn all(only: &[String], quick: bool, json_file: Option<&Path>) -> anyhow::Result<()> {
    let size = if quick { QUICK } else { FULL };
    let folder = tempfile::tempdir()?;
    // Postgres may run as another user.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let redis = Redis::start_with(folder.path(), RedisOptions { port: Some(port) }).await?;
    let postgres = Postgres::start(folder.path(), PostgresOptions::default(), &|_| ()).await?;
    let servers = Servers { redis, postgres, redis_url: format!("redis://127.0.0.1:{port}/0") };
    let mut all = Figures::new();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let mut failed = Vec::new();
    for peer in PEERS.iter().filter(|peer| wanted(peer.name)) {
        eprintln!("{}: {}", peer.shown, peer.setup);
        let measured = tokio::time::timeout(size.limit, measure_all(peer, &servers, &size)).await;
        match measured.unwrap_or_else(|_| Err(anyhow::anyhow!("not done within {:?}", size.limit))) {
            Ok(figures) => drop(all.insert(peer.name.to_owned(), figures)),
            Err(error) => {
                eprintln!("{}: not measured: {error:#}", peer.shown);
                failed.push(peer.shown);
            }
        }
    }
    let version = info(&servers, "redis_version").await?;
    eprintln!("ChasquiMQ: not measured: it needs Redis 8.6, and this is {version}");
    print(&all);
    promises::print(&all, quick);
    support::note(quick);
    if let Some(file) = json_file {
        std::fs::write(file, serde_json::to_string_pretty(&all)?)?;
    }
    servers.redis.stop().await;
    servers.postgres.stop().await;
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

async fn measure_all(peer: &Peer, servers: &Servers, size: &Size) -> anyhow::Result<BTreeMap<String, f64>> {
    peer.install()?;
    let mut figures = measure(peer, servers, size).await?;
    if peer.name == "dogwatch" {
        figures.extend(ours_alone(servers, size).await?);
    }
    Ok(figures)
}

async fn redis(servers: &Servers) -> anyhow::Result<redis::aio::MultiplexedConnection> {
    Ok(redis::Client::open(servers.redis_url.as_str())?.get_multiplexed_async_connection().await?)
}

async fn info(servers: &Servers, field: &str) -> anyhow::Result<String> {
    let info: String = redis::cmd("INFO").query_async(&mut redis(servers).await?).await?;
    let value = info.lines().find_map(|line| line.strip_prefix(&format!("{field}:"))).unwrap_or_default();
    Ok(value.trim().to_owned())
}

async fn empty(servers: &Servers) -> anyhow::Result<()> {
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis(servers).await?).await?;
    Ok(())
}

fn number(figures: &Value, name: &str) -> anyhow::Result<f64> {
    figures[name].as_f64().with_context(|| format!("no `{name}` in {figures}"))
}

/// The best of what comes within some time, since whatever else a machine does makes figures worse and never better:
/// all of what is quick, one of what is slow.
async fn best(repeats: u32, mut measured: impl AsyncFnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut best = measured().await?;
    for _ in 1..repeats {
        if began.elapsed() > REPEAT_FOR {
            break;
        }
        best = best.max(measured().await?);
    }
    Ok(best)
}

/// Processes of the lowest priority that keep the processor busy: where it falls asleep between two messages, its waking
/// takes longer than all else. They are killed when dropped.
fn keep_awake() -> anyhow::Result<Vec<tokio::process::Child>> {
    let spin = |_| {
        let mut command = tokio::process::Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe()?).args(["child", "spin", "-", "-", "0"]);
        Ok(command.kill_on_drop(true).spawn()?)
    };
    (0..std::thread::available_parallelism()?.get()).map(spin).collect()
}

async fn measure(peer: &Peer, servers: &Servers, size: &Size) -> anyhow::Result<BTreeMap<String, f64>> {
    let postgres = servers.postgres.url();
    let url = peer.url(&servers.redis_url, &postgres).to_owned();
    let mut all = BTreeMap::new();
    let mut keep = |name: &str, value: f64| {
        all.insert(name.to_owned(), value);
    };
    let least = |count: usize| count.min(peer.most);
    for (name, awake) in [("one_per_second", false), ("one_awake_per_second", true)] {
        let one = best(size.repeats, async || {
            empty(servers).await?;
            let awake = if awake { keep_awake()? } else { Vec::new() };
            let enqueued = peer.measure("one", &url, least(size.one)).await?;
            drop(awake);
            // What was enqueued is run, so that the next begins with nothing.
            peer.measure("work", &url, least(size.one)).await?;
            number(&enqueued, "per_second")
        });
        keep(name, one.await?);
    }
    let mut bulk = f64::MIN;
    let run = best(size.repeats, async || {
        empty(servers).await?;
        let count = least(size.backlog);
        bulk = bulk.max(number(&peer.measure("bulk", &url, count).await?, "per_second")?);
        number(&peer.measure("work", &url, count).await?, "per_second")
    })
    .await?;
    keep("bulk_per_second", bulk);
    keep("run_per_second", run);

    empty(servers).await?;
    let worker = peer.start("work", &url, size.pickups)?;
    tokio::time::sleep(size.settle).await;
    peer.measure("pace", &url, size.pickups).await?;
    let pickup = figures(worker).await?;
    keep("pickup_p50_ms", number(&pickup, "p50_us")? / 1000.0);
    keep("pickup_p99_ms", number(&pickup, "p99_us")? / 1000.0);

    let mut worker = peer.start("work", &url, usize::MAX >> 1)?;
    tokio::time::sleep(size.settle).await;
    let idle = idle(servers, worker.id().unwrap_or_default(), size.idle).await?;
    // The figures of a process that has ended would be those of a very modest worker.
    if worker.try_wait()?.is_some() {
        figures(worker).await?;
        anyhow::bail!("the idle worker has ended");
    }
    for (name, value) in idle {
        keep(name, value);
    }
    Ok(all)
}

/// Redis commands per second, CPU in percent of a core and resident memory in MB of an idle worker and its children.
async fn idle(servers: &Servers, pid: u32, time: Duration) -> anyhow::Result<[(&'static str, f64); 3]> {
    let commands =
        async || info(servers, "total_commands_processed").await?.parse::<f64>().map_err(anyhow::Error::from);
    let (before, cpu_before) = (commands().await?, cpu_seconds(pid)?);
    tokio::time::sleep(time).await;
    let (after, cpu_after) = (commands().await?, cpu_seconds(pid)?);
    let seconds = time.as_secs_f64();
    // Two of the commands are ours: INFO and what comes with a connection.
    Ok([
        ("idle_commands_per_second", (after - before - 3.0).max(0.0) / seconds),
        ("idle_cpu_percent", (cpu_after - cpu_before) / seconds * 100.0),
        ("resident_mb", resident_mb(pid)?),
    ])
}

/// The process and its descendants.
fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    std::iter::once(pid).chain(children.flat_map(family)).collect()
}

fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let mut ticks = 0.0;
    for pid in family(pid) {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split(' ').collect();
        ticks += fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    }
    Ok(ticks / 100.0)
}

fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    let mut kb = 0.0;
    for pid in family(pid) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        kb += line.split_whitespace().next().unwrap_or("0").parse::<f64>()?;
    }
    Ok(kb / 1024.0)
}

/// What no peer has, or what only we promised.
async fn ours_alone(servers: &Servers, size: &Size) -> anyhow::Result<BTreeMap<String, f64>> {
    let (own, url) = (&PEERS[0], servers.redis_url.as_str());
    let mut all = BTreeMap::new();
    // In turns, so that both meet the machine in the same mood.
    for _ in 0..size.large_repeats {
        for (name, count) in
            [("large_backlog_per_second", size.large_backlog), ("small_backlog_per_second", size.backlog)]
        {
            empty(servers).await?;
            own.measure("bulk", url, count).await?;
            let run = number(&own.measure("work", url, count).await?, "per_second")?;
            let best = all.entry(name.to_owned()).or_insert(run);
            *best = best.max(run);
        }
    }

    let leases = [("rerun_short_s", "short-lease"), ("rerun_s", "work")];
    for (name, role) in leases.into_iter().take(if size.long_lease { 2 } else { 1 }) {
        empty(servers).await?;
        let mut lost = own.start(role, url, usize::MAX >> 1)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        own.measure("hold", url, 20).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        lost.kill().await?;
        let killed = Instant::now();
        own.measure(role, url, 20).await?;
        all.insert(name.to_owned(), killed.elapsed().as_secs_f64());
    }

    for (name, count, interval, slots) in [
        ("many_schedules_late_ms", size.schedules, size.schedules_every, 3.min(size.slots)),
        ("lone_late_ms", 1, "1s", size.slots),
    ] {
        empty(servers).await?;
        let exe = std::env::current_exe()?;
        let mut child = tokio::process::Command::new(exe);
        child.args(["child", "schedules", interval, url, &count.to_string(), &slots.to_string()]);
        child.stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let late = figures(child.spawn()?).await?;
        all.insert(name.to_owned(), number(&late, "late_ms")?);
    }
    Ok(all)
}

fn print(all: &Figures) {
    let columns = [
        ("run_per_second", "run/s"),
        ("one_per_second", "enqueued/s, one by one"),
        ("one_awake_per_second", "on an awake processor"),
        ("bulk_per_second", "in bulk"),
        ("pickup_p50_ms", "pickup ms, median"),
        ("pickup_p99_ms", "p99"),
        ("idle_commands_per_second", "idle: commands/s"),
        ("idle_cpu_percent", "% of a core"),
        ("resident_mb", "MB"),
    ];
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(std::iter::once("").chain(columns.iter().map(|(_, title)| *title)));
    for peer in PEERS.iter().filter(|peer| all.contains_key(peer.name)) {
        let cell = |(name, _): &(&str, &str)| {
            all[peer.name].get(*name).map_or("-".to_owned(), |value| match *value {
                value if value >= 100.0 => format!("{value:.0}"),
                value if value >= 10.0 => format!("{value:.1}"),
                value => format!("{value:.2}"),
            })
        };
        table.add_row(std::iter::once(peer.shown.to_owned()).chain(columns.iter().map(cell)));
    }
    println!("{table}");
    println!("{}", json!(all));
}
