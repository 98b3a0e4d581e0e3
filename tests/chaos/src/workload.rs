//! What the producers want done: many short jobs, some long ones, and some of every kind that gives trouble.

use std::time::Duration;

use dogwatch_queue::{NewJob, Unique, UniqueUntil};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use uuid::Uuid;

use crate::jobs::{ATTEMPTS, Deed, Order};

/// The queues, as a worker names them in its settings.
pub(crate) const QUEUES: [(&str, u32); 2] = [("default", 3), ("bulk", 1)];
/// Keys of unique jobs: few, so that they meet.
const KEYS: u32 = 12;

/// A source of jobs; the same seed gives the same jobs, but for their ids.
#[derive(Debug)]
pub(crate) struct Workload(StdRng);

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// The next job. Of 100, about 75 are short and plain.
    pub(crate) fn next(&mut self) -> NewJob {
        let rng = &mut self.0;
        let roll = rng.random_range(0..100);
        let (deed, ms, failures) = match roll {
            0..75 => (Deed::Work, rng.random_range(1..60), 0),
            75..77 => (Deed::Compute, rng.random_range(5..50), 0),
            77..80 => (Deed::Work, rng.random_range(200..1500), 0),
            80..83 => (Deed::Work, rng.random_range(3000..8000), 0),
            83..84 => (Deed::Obey, rng.random_range(3000..8000), 0),
            84..89 => (Deed::Fail, rng.random_range(1..60), rng.random_range(1..3)),
            89..91 => (Deed::Panic, rng.random_range(1..60), 0),
            91..95 => (Deed::Snooze, rng.random_range(1..60), 0),
            95..96 => (Deed::Discard, rng.random_range(1..60), 0),
            // It exceeds the time limit below.
            _ => (Deed::Work, 1000, 0),
        };
        let order = Order { deed, ms, failures };
        let name = if rng.random_range(0..100) < 8 && ms < 300 { "limited" } else { "act" };
        let mut job = new(name, order);
        if roll >= 96 {
            job.timeout = Some(Duration::from_millis(300));
            job.max_attempts = Some(2);
        }
        if rng.random_range(0..100) < 20 {
            "bulk".clone_into(&mut job.queue);
        }
        match rng.random_range(0..100) {
            0..10 => job.delay = Duration::from_millis(rng.random_range(50..3000)),
            10..20 => job.unique = Some(unique(rng)),
            20..30 => job.priority = rng.random_range(0..10),
            30..33 => job.expires = Some(Duration::from_millis(rng.random_range(20..1500))),
            33..36 => job.max_attempts = Some(rng.random_range(1..4)),
            _ => {}
        }
        job
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.0.random_range(0..n)
    }
}

fn new(name: &str, order: Order) -> NewJob {
    let args = serde_json::to_value(order).unwrap_or(Value::Null);
    NewJob { id: Some(Uuid::now_v7().to_string()), max_attempts: Some(ATTEMPTS), ..NewJob::new(name, args) }
}

fn unique(rng: &mut StdRng) -> Unique {
    let until = match rng.random_range(0..3) {
        0 => UniqueUntil::Started,
        1 => UniqueUntil::Done,
        _ => UniqueUntil::Window(Duration::from_millis(rng.random_range(100..2000))),
    };
    Unique { key: format!("key-{}", rng.random_range(0..KEYS)), until }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_jobs_again() {
        let jobs = |seed| {
            let mut workload = Workload::new(seed);
            (0..500)
                .map(move |_| workload.next())
                .map(|job| format!("{:?}", NewJob { id: None, ..job }))
                .collect::<Vec<_>>()
        };
        assert_eq!(jobs(7), jobs(7));
        assert_ne!(jobs(7), jobs(8));
    }
}
