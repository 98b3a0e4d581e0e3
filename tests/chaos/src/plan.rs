//! What the nemesis will do, and when: a pure function of the seed.
//!
//! Three lanes go on side by side, so that faults of Redis, of processes and of the network meet: in each lane one
//! fault follows the other, drawn from a bag that is filled again when it is empty, so that no kind is left out for
//! long. All lanes rest together now and then: what has to go well in calm is checked there, and nowhere else.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::event::FaultKind::{
    self, BlackHole, ClientKill, ClientPause, ClockStep, CutLink, DebugSleep, EditSchedules, FullMemory,
    KillPostgres, KillProgram, KillRedis, KillScheduler, KillWorker, PauseQueue, PauseScheduler, PauseWorker,
    RestartScheduler, RestartWorker, RewriteAof, ScriptFlush, SlowLink,
};
use crate::program::PLACES;
use crate::sabotage::Sabotage;
use crate::workload::QUEUES;

/// How many workers there are; the first is not behind a proxy.
pub(crate) const WORKERS: u32 = 3;
/// The same of schedulers.
pub(crate) const SCHEDULERS: u32 = 2;
/// The same of producers.
pub(crate) const PRODUCERS: u32 = 2;
const STORM: Duration = Duration::from_secs(17);
const CALM: Duration = Duration::from_secs(9);

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// From the beginning of the faults.
    pub(crate) at: Duration,
    pub(crate) kind: FaultKind,
    /// The place that it hits; of schedulers, the one that leads then.
    pub(crate) target: String,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    /// How often it is repeated without a pause, as by a server that does not come up.
    pub(crate) times: u32,
    /// How it ends, where there are two ways: by a cut, or by itself.
    pub(crate) ends_with_a_cut: bool,
}

/// What can be done to whom. The program's processes and its Postgres are away as a network is.
#[derive(Clone, Copy)]
enum Lane {
    Redis,
    Processes,
    Network,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Redis, Self::Processes, Self::Network];

    /// Kinds, the frequent ones more than once.
    fn bag(self, clock: bool) -> Vec<FaultKind> {
        match self {
            Self::Redis => {
                vec![
                    KillRedis,
                    KillRedis,
                    ClientKill,
                    ClientPause,
                    DebugSleep,
                    ScriptFlush,
                    FullMemory,
                    RewriteAof,
                ]
            }
            Self::Processes => {
                let mut bag = vec![KillWorker, KillWorker, PauseWorker, PauseWorker, RestartWorker];
                // In one lane: with a broken file no scheduler starts, and none should.
                bag.extend([KillScheduler, PauseScheduler, RestartScheduler, EditSchedules]);
                bag.extend(clock.then_some(ClockStep));
                bag
            }
            Self::Network => {
                vec![SlowLink, CutLink, BlackHole, PauseQueue, KillProgram, KillPostgres, KillProgram]
            }
        }
    }

    /// How long it rests between two faults, in ms.
    fn rest(self) -> std::ops::Range<u64> {
        match self {
            Self::Redis => 600..2500,
            Self::Processes => 500..2000,
            Self::Network => 1000..4000,
        }
    }
}

/// All faults of a run, in the order of their times. `clock`: whether clocks can be stepped here.
pub(crate) fn plan(seed: u64, duration: Duration, clock: bool, sabotage: Option<Sabotage>) -> Vec<Planned> {
    let mut all = Vec::new();
    if let Some(sabotage) = sabotage {
        all.extend(provoke(sabotage, duration));
    } else {
        for (n, lane) in (1..).zip(Lane::ALL) {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(3).wrapping_add(n));
            fill(lane, clock, duration, &mut rng, &mut all);
        }
    }
    all.sort_by_key(|planned| planned.at);
    all
}

fn fill(lane: Lane, clock: bool, duration: Duration, rng: &mut StdRng, all: &mut Vec<Planned>) {
    let (mut bag, mut at) = (Vec::new(), Duration::from_millis(rng.random_range(500..2500)));
    loop {
        if bag.is_empty() {
            bag = lane.bag(clock);
            bag.shuffle(rng);
        }
        let Some(kind) = bag.pop() else { return };
        let planned = draw(kind, at, rng);
        let end = planned.at + planned.lasts * planned.times;
        // A fault is over before the calm begins.
        let in_cycle = Duration::from_millis(
            u64::try_from(at.as_millis() % (STORM + CALM).as_millis()).unwrap_or_default(),
        );
        if in_cycle + end.saturating_sub(at) > STORM {
            at += (STORM + CALM).saturating_sub(in_cycle);
            bag.push(kind);
            if at >= duration {
                return;
            }
            continue;
        }
        if end > duration {
            return;
        }
        all.push(planned);
        at = end + Duration::from_millis(rng.random_range(lane.rest()));
    }
}

fn draw(kind: FaultKind, at: Duration, rng: &mut StdRng) -> Planned {
    let ms = match kind {
        // A worker's lease is 2 s, a leader's 3 s; and the file is read every 2 s.
        PauseWorker | EditSchedules => 2500..6000,
        PauseScheduler => 3500..6500,
        KillWorker | KillScheduler | RestartWorker | RestartScheduler => 200..1500,
        PauseQueue => 500..4000,
        KillRedis => 100..2500,
        ClientPause => 300..3000,
        DebugSleep => 300..3500,
        FullMemory => 1500..4000,
        SlowLink => 1500..5000,
        CutLink | KillProgram => 100..1500,
        KillPostgres => 100..2000,
        BlackHole => 500..6500,
        ClockStep => 2000..6000,
        ClientKill | ScriptFlush | RewriteAof => 0..1,
    };
    let lasts = Duration::from_millis(rng.random_range(ms));
    let times = if kind == KillRedis && rng.random_ratio(1, 3) { 3 } else { 1 };
    let lasts = if times > 1 { lasts.min(Duration::from_millis(700)) } else { lasts };
    let place = |name: &str, first: u32, count: u32, rng: &mut StdRng| {
        format!("{name}-{}", rng.random_range(first..=count))
    };
    let target = match kind {
        PauseWorker | KillWorker | RestartWorker => place("worker", 1, WORKERS, rng),
        ClockStep => place("worker", WORKERS, WORKERS, rng),
        KillScheduler | PauseScheduler | RestartScheduler => "scheduler".to_owned(),
        EditSchedules => "schedules".to_owned(),
        PauseQueue => QUEUES[rng.random_range(0..QUEUES.len())].0.to_owned(),
        KillProgram => PLACES[rng.random_range(0..PLACES.len())].to_owned(),
        KillPostgres => "postgres".to_owned(),
        SlowLink | CutLink | BlackHole => match rng.random_range(0..8) {
            6.. => PLACES[rng.random_range(1..PLACES.len())].to_owned(),
            0 => place("scheduler", 2, SCHEDULERS, rng),
            1 => place("producer", 2, PRODUCERS, rng),
            _ => place("worker", 2, WORKERS, rng),
        },
        _ => "redis".to_owned(),
    };
    Planned { at, kind, target, lasts, times, ends_with_a_cut: rng.random() }
}

/// What shows that a protection is missing, soon and without anything else that could be to blame.
fn provoke(sabotage: Sabotage, duration: Duration) -> Vec<Planned> {
    let (kind, target, lasts, pause) = match sabotage {
        Sabotage::Fence => (PauseWorker, "worker", 2800, 400),
        Sabotage::Claim => (KillWorker, "worker", 300, 1200),
        Sabotage::Slot => (KillScheduler, "scheduler", 300, 700),
        Sabotage::Heartbeat | Sabotage::WriteFirst => return Vec::new(),
    };
    let lasts = Duration::from_millis(lasts);
    let (mut all, mut at) = (Vec::new(), Duration::from_millis(1500));
    while at + lasts <= duration {
        let target = match target {
            "worker" => format!("worker-{}", all.len() % 3 + 1),
            other => other.to_owned(),
        };
        all.push(Planned { at, kind, target, lasts, times: 1, ends_with_a_cut: false });
        at += lasts + Duration::from_millis(pause);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    #[test]
    fn a_seed_gives_the_same_plan_again() {
        assert_eq!(plan(7, LONG, true, None), plan(7, LONG, true, None));
        assert_ne!(plan(7, LONG, true, None), plan(8, LONG, true, None));
    }

    #[test]
    fn every_kind_comes_soon() {
        for seed in 0..50 {
            let planned = plan(seed, Duration::from_secs(75), false, None);
            let kinds: BTreeSet<FaultKind> = planned.iter().map(|planned| planned.kind).collect();
            assert!(kinds.len() >= 12, "seed {seed}: {kinds:?}");
            assert!(planned.len() >= 20, "seed {seed}: {} faults", planned.len());
        }
    }

    #[test]
    fn all_lanes_rest_together() {
        let cycle = (STORM + CALM).as_millis();
        for planned in plan(3, LONG, true, None) {
            let (at, lasts) = (planned.at.as_millis() % cycle, (planned.lasts * planned.times).as_millis());
            assert!(at + lasts <= STORM.as_millis(), "{planned:?}");
        }
    }
}
