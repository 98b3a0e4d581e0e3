//! Does what is planned, and writes down when each fault began and when it was over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use redis::FromRedisValue;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use crate::event::{FaultKind, Phase, What};
use crate::ledger;
use crate::plan::{Planned, SCHEDULERS};
use crate::proxy::Mode;
use crate::server;
use crate::world::{Edit, World};

/// Between two deaths of a server that does not stay up.
const BETWEEN_DEATHS: Duration = Duration::from_millis(150);

const AGAIN: Duration = Duration::from_millis(200);

/// Makes faults.
pub(crate) struct Nemesis {
    world: Arc<World>,
    number: AtomicU64,
    /// Faults of one lane follow each other, however long each takes.
    lanes: [Mutex<()>; 3],
}

impl Nemesis {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, number: AtomicU64::new(0), lanes: Default::default() }
    }

    /// Makes all faults of a plan.
    pub(crate) async fn run(self: Arc<Self>, plan: Vec<Planned>) -> Result<()> {
        let began = Instant::now();
        let mut faults = tokio::task::JoinSet::new();
        for planned in plan {
            sleep_until(began + planned.at).await;
            let nemesis = self.clone();
            faults.spawn(async move {
                let _turn = nemesis.lanes[lane(planned.kind)].lock().await;
                let what = format!("{planned:?}");
                nemesis.make(planned).await.with_context(|| format!("cannot make {what}"))
            });
        }
        while let Some(made) = faults.join_next().await {
            made??;
        }
        Ok(())
    }

    fn write(&self, number: u64, kind: FaultKind, target: &str, phase: Phase) {
        self.world.ledger.write(What::Fault { number, kind, target: target.to_owned(), phase });
    }

    async fn make(&self, planned: Planned) -> Result<()> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let Planned { kind, lasts, .. } = planned;
        let place = if planned.target == "scheduler" { self.leader()? } else { planned.target.clone() };
        let target = self.world.fleet.name_at(&place).unwrap_or_else(|| place.clone());
        self.write(number, kind, &target, Phase::Begin);
        match kind {
            FaultKind::KillWorker | FaultKind::KillScheduler | FaultKind::KillProgram => {
                self.world.fleet.kill(&place).await;
                sleep(lasts).await;
                self.world.fleet.start(&place)?;
            }
            FaultKind::RestartWorker | FaultKind::RestartScheduler => {
                self.world.fleet.stop(&place).await;
                sleep(lasts).await;
                self.world.fleet.start(&place)?;
            }
            FaultKind::EditSchedules => {
                self.all_schedulers_have_started().await?;
                let other = if planned.ends_with_a_cut { Edit::Broken } else { Edit::OneMore };
                self.world.write_schedules(other)?;
                sleep(lasts).await;
                self.world.write_schedules(Edit::Usual)?;
            }
            FaultKind::PauseQueue => {
                // Said until Redis has heard it.
                while self.world.control.pause(&target).await.is_err() {
                    sleep(AGAIN).await;
                }
                sleep(lasts).await;
                while self.world.control.resume(&target).await.is_err() {
                    sleep(AGAIN).await;
                }
            }
            FaultKind::PauseWorker | FaultKind::PauseScheduler => {
                self.world.fleet.pause(&place);
                sleep(lasts).await;
                self.world.fleet.go_on(&place);
            }
            FaultKind::KillRedis => self.kill_redis(&planned).await?,
            FaultKind::KillPostgres => {
                let program = self.world.program.as_ref().context("the program is not there")?;
                program.kill_postgres(lasts, &self.world.guard).await?;
            }
            FaultKind::SlowLink | FaultKind::CutLink | FaultKind::BlackHole => {
                self.spoil_link(&planned, &place).await?;
            }
            FaultKind::ClockStep => {
                let back = if planned.ends_with_a_cut { "-3600" } else { "+3600" };
                self.world.set_clock(back)?;
                sleep(lasts).await;
                self.world.set_clock("+0")?;
            }
            _ => self.trouble_redis(&planned).await?,
        }
        self.write(number, kind, &target, Phase::End);
        Ok(())
    }

    async fn kill_redis(&self, planned: &Planned) -> Result<()> {
        let mut server = self.world.server.lock().await;
        for time in 0..planned.times {
            if time > 0 {
                sleep(BETWEEN_DEATHS).await;
            }
            server.kill();
            sleep(planned.lasts).await;
            server.restart(&self.world.guard).await?;
        }
        Ok(())
    }

    async fn trouble_redis(&self, planned: &Planned) -> Result<()> {
        let ms = u64::try_from(planned.lasts.as_millis())?;
        match planned.kind {
            FaultKind::ClientKill => self.redis::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]).await.map(drop),
            FaultKind::ScriptFlush => self.redis::<String>(&["SCRIPT", "FLUSH"]).await.map(drop),
            FaultKind::RewriteAof => self.redis::<String>(&["BGREWRITEAOF"]).await.map(drop),
            FaultKind::ClientPause => {
                let mode = if planned.ends_with_a_cut { "WRITE" } else { "ALL" };
                self.redis::<String>(&["CLIENT", "PAUSE", &ms.to_string(), mode]).await?;
                sleep(planned.lasts).await;
                Ok(())
            }
            FaultKind::DebugSleep => {
                let seconds = planned.lasts.as_secs_f64().to_string();
                self.redis::<String>(&["DEBUG", "SLEEP", &seconds]).await.map(drop)
            }
            _ => {
                let info = self.redis::<String>(&["INFO", "memory"]).await?;
                let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
                let used: u64 = used.and_then(|used| used.trim().parse().ok()).context("used_memory")?;
                self.redis::<String>(&["CONFIG", "SET", "maxmemory", &(used * 4 / 5).to_string()]).await?;
                sleep(planned.lasts).await;
                self.redis::<String>(&["CONFIG", "SET", "maxmemory", "0"]).await.map(drop)
            }
        }
    }

    /// A command on a connection that no proxy is before.
    async fn redis<T: FromRedisValue>(&self, command: &[&str]) -> Result<T> {
        let mut connection = server::connect(self.world.port).await?;
        Ok(redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await?)
    }

    async fn spoil_link(&self, planned: &Planned, place: &str) -> Result<()> {
        let proxy = self.world.proxies.get(place).with_context(|| format!("no proxy before `{place}`"))?;
        match planned.kind {
            FaultKind::SlowLink => proxy.set(Mode::Slow(planned.lasts / 12)),
            FaultKind::BlackHole => proxy.set(Mode::BlackHole),
            _ => {
                proxy.set(Mode::Shut);
                proxy.cut();
            }
        }
        sleep(planned.lasts).await;
        if planned.kind == FaultKind::BlackHole && planned.ends_with_a_cut {
            proxy.cut();
        }
        proxy.set(Mode::Open);
        Ok(())
    }

    /// The place of the scheduler that leads, as it said itself.
    fn leader(&self) -> Result<String> {
        let mut last = (0, "scheduler-1".to_owned());
        for number in 1..=SCHEDULERS {
            let place = format!("scheduler-{number}");
            let Some(name) = self.world.fleet.name_at(&place) else { continue };
            let events = ledger::read_one(&self.ledger_of(&name))?;
            for event in events.iter().filter(|event| matches!(event.what, What::Leads { .. })) {
                if event.at > last.0 {
                    last = (event.at, place.clone());
                }
            }
        }
        Ok(last.1)
    }

    /// Waits for it: with a broken file a scheduler does not start, and should not.
    async fn all_schedulers_have_started(&self) -> Result<()> {
        for number in 1..=SCHEDULERS {
            let place = format!("scheduler-{number}");
            while let Some(name) = self.world.fleet.name_at(&place) {
                if ledger::read_one(&self.ledger_of(&name))?.iter().any(|event| event.what == What::Ready) {
                    break;
                }
                sleep(AGAIN).await;
            }
        }
        Ok(())
    }

    fn ledger_of(&self, name: &str) -> PathBuf {
        ledger::path(&self.world.folder, name)
    }
}

fn lane(kind: FaultKind) -> usize {
    use FaultKind::{
        BlackHole, ClockStep, CutLink, EditSchedules, KillPostgres, KillProgram, KillScheduler, KillWorker,
        PauseQueue, PauseScheduler, PauseWorker, RestartScheduler, RestartWorker, SlowLink,
    };
    match kind {
        KillWorker | RestartWorker | PauseWorker | ClockStep | KillScheduler | RestartScheduler
        | PauseScheduler | EditSchedules => 1,
        SlowLink | CutLink | BlackHole | PauseQueue | KillProgram | KillPostgres => 2,
        _ => 0,
    }
}
