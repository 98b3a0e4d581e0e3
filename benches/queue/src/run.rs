//! Measures every peer, one after the other, each on empty servers, and prints the table.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
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
    idle: Duration,
}

const FULL: Size = Size {
    backlog: 100_000,
    large_backlog: 1_000_000,
    one: 20_000,
    pickups: 500,
    idle: Duration::from_secs(20),
};
const QUICK: Size =
    Size { backlog: 10_000, large_backlog: 50_000, one: 3_000, pickups: 100, idle: Duration::from_secs(5) };

const REPEATS: u32 = 5;
const LARGE_REPEATS: u32 = 3;
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
    for peer in PEERS.iter().filter(|peer| wanted(peer.name)) {
        eprintln!("{}: {}", peer.shown, peer.setup);
        let measured = async {
            peer.install().await?;
            measure(peer, &servers, &size).await
        };
        match measured.await {
            Ok(figures) => drop(all.insert(peer.name.to_owned(), figures)),
            Err(error) => eprintln!("{}: not measured: {error:#}", peer.shown),
        }
    }
    if wanted("dogwatch") {
        let own = all.entry("dogwatch".to_owned()).or_default();
        own.extend(ours_alone(&servers, &size).await?);
    }
    let version = info(&servers, "redis_version").await?;
    eprintln!("ChasquiMQ: not measured: it needs Redis 8.6, and this is {version}");
    print(&all);
    promises::print(&all);
    if let Some(file) = json_file {
        std::fs::write(file, serde_json::to_string_pretty(&all)?)?;
    }
    servers.redis.stop().await;
    servers.postgres.stop().await;
    Ok(())
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

fn number(figures: &Value, name: &str) -> Option<f64> {
    figures[name].as_f64()
}

/// The best of what comes within some time, since whatever else a machine does makes figures worse and never better:
/// five of what is quick, one of what is slow.
async fn best(mut measured: impl AsyncFnMut() -> anyhow::Result<Option<f64>>) -> anyhow::Result<Option<f64>> {
    let (began, mut best) = (Instant::now(), None);
    for _ in 0..REPEATS {
        best = best.max_of(measured().await?);
        if began.elapsed() > REPEAT_FOR {
            break;
        }
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
    let mut keep = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            all.insert(name.to_owned(), value);
        }
    };
    let least = |count: usize| count.min(peer.most);
    for (name, awake) in [("one_per_second", false), ("one_awake_per_second", true)] {
        let one = best(async || {
            empty(servers).await?;
            let awake = if awake { keep_awake()? } else { Vec::new() };
            let enqueued = peer.measure("one", &url, least(size.one)).await?;
            drop(awake);
            // What was enqueued is run, so that the next begins with nothing.
            peer.measure("work", &url, least(size.one)).await?;
            Ok(number(&enqueued, "per_second"))
        });
        keep(name, one.await?);
    }
    let mut bulk = None;
    let run = best(async || {
        empty(servers).await?;
        let count = least(size.backlog);
        bulk = bulk.max_of(number(&peer.measure("bulk", &url, count).await?, "per_second"));
        Ok(number(&peer.measure("work", &url, count).await?, "per_second"))
    })
    .await?;
    keep("bulk_per_second", bulk);
    keep("run_per_second", run);

    empty(servers).await?;
    let worker = peer.start("work", &url, size.pickups)?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    peer.measure("pace", &url, size.pickups).await?;
    let pickup = figures(worker).await?;
    keep("pickup_p50_ms", number(&pickup, "p50_us").map(|us| us / 1000.0));
    keep("pickup_p99_ms", number(&pickup, "p99_us").map(|us| us / 1000.0));

    let worker = peer.start("work", &url, usize::MAX >> 1)?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = idle(servers, worker.id().unwrap_or_default(), size.idle).await?;
    for (name, value) in idle {
        keep(name, Some(value));
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
    for _ in 0..LARGE_REPEATS {
        for (name, count) in
            [("large_backlog_per_second", size.large_backlog), ("small_backlog_per_second", size.backlog)]
        {
            empty(servers).await?;
            own.measure("bulk", url, count).await?;
            let run = number(&own.measure("work", url, count).await?, "per_second");
            let best = all.get(name).copied().max_of(run).unwrap_or_default();
            all.insert(name.to_owned(), best);
        }
    }

    for (name, role) in [("rerun_s", "work"), ("rerun_short_s", "short-lease")] {
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

    for (name, count, interval) in [("ten_thousand_late_ms", 10_000, "10s"), ("lone_late_ms", 1, "1s")] {
        empty(servers).await?;
        let exe = std::env::current_exe()?;
        let mut child = tokio::process::Command::new(exe);
        child.args(["child", "schedules", interval, url, &count.to_string()]);
        child.stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let late = figures(child.spawn()?).await?;
        all.insert(name.to_owned(), number(&late, "late_ms").unwrap_or(f64::NAN));
    }
    Ok(all)
}

trait MaxOf {
    fn max_of(self, other: Option<f64>) -> Option<f64>;
}

impl MaxOf for Option<f64> {
    fn max_of(self, other: Option<f64>) -> Option<f64> {
        [self, other].into_iter().flatten().reduce(f64::max)
    }
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
