//! For each promise: a small history that keeps it, and the same with one thing wrong.

use super::{PROMISES, Report, check};
use crate::event::{Answer, Change, End, Event, FaultKind, Fsync, How, Phase, SlotRule, Verdict, What};

/// 2026-11-01 in ms: slots are times of day.
const MIDNIGHT_MS: i64 = 1_793_491_200_000;

/// A history under construction.
#[derive(Clone)]
struct History {
    events: Vec<Event>,
    faults: u64,
}

impl History {
    fn new(fsync: Fsync) -> Self {
        let mut history = Self { events: Vec::new(), faults: 0 };
        history.add(0, "conductor", What::Began { seed: 1, fsync, lease_ms: 2000 });
        history
    }

    fn add(&mut self, ms: u64, by: &str, what: What) {
        let wall = (MIDNIGHT_MS + ms.cast_signed()) * 1000;
        self.events.push(Event { at: (1000 + ms) * 1000, wall, by: by.to_owned(), what });
    }

    fn process(&mut self, ms: u64, process: &str, change: Change) {
        self.add(ms, "conductor", What::Process { process: process.to_owned(), pid: 7, change });
    }

    fn fault(&mut self, kind: FaultKind, target: &str, from: u64, to: u64) {
        self.faults += 1;
        for (ms, phase) in [(from, Phase::Begin), (to, Phase::End)] {
            let (number, target) = (self.faults, target.to_owned());
            self.add(ms, "conductor", What::Fault { number, kind, target, phase });
        }
    }

    fn enqueued(&mut self, ms: u64, id: &str) {
        let (queue, way, job) = ("default".to_owned(), "native".to_owned(), "act".to_owned());
        self.add(ms, "producer-1.1", What::Asked { id: id.to_owned(), queue, way, job, max_attempts: 3 });
        self.add(ms + 2, "producer-1.1", What::Acknowledged { id: id.to_owned(), stored: true });
    }

    fn begun(&mut self, ms: u64, by: &str, id: &str, attempt: u32) {
        let (id, token) = (id.to_owned(), format!("{by}/{attempt}"));
        self.add(ms, by, What::Begun { id, attempt, token, schedule: None, slot_ms: None });
    }

    fn ended(&mut self, ms: u64, by: &str, id: &str, attempt: u32) {
        let token = format!("{by}/{attempt}");
        self.add(ms, by, What::Ended { id: id.to_owned(), token, how: How::Done });
    }

    fn outcome(&mut self, ms: u64, by: &str, id: &str, attempt: u32, verdict: Verdict, end: End) {
        let (id, token) = (id.to_owned(), format!("{by}/{attempt}"));
        self.add(ms, by, What::Outcome { id, attempt, token, verdict, end });
    }

    /// A whole run that is accepted.
    fn ran(&mut self, from: u64, to: u64, by: &str, id: &str, attempt: u32, end: End) {
        self.begun(from, by, id, attempt);
        self.ended(to, by, id, attempt);
        self.outcome(to + 1, by, id, attempt, Verdict::Accepted, end);
    }

    fn is(&mut self, id: &str, state: &str, attempts: u32, finished: Option<u64>) {
        let (id, state) = (id.to_owned(), state.to_owned());
        let finished_ms = finished.map(|ms| MIDNIGHT_MS + ms.cast_signed());
        let found = What::Final { id, state, attempts, finished_ms, schedule: None, slot_ms: None };
        self.add(60_000, "conductor", found);
    }

    /// A job that failed once and then succeeded.
    fn with_a_job() -> Self {
        let mut history = Self::new(Fsync::Always);
        history.enqueued(10, "a");
        history.ran(20, 30, "worker-1.1", "a", 1, End::Retry);
        history.ran(100, 120, "worker-2.1", "a", 2, End::Succeeded);
        history.is("a", "succeeded", 2, Some(120));
        history
    }

    /// A job whose first runner was stopped from 1 s to 5 s, and which another ran in the meantime.
    fn with_an_overlap() -> Self {
        let mut history = Self::new(Fsync::Always);
        history.enqueued(10, "a");
        history.begun(900, "worker-1.1", "a", 1);
        history.fault(FaultKind::PauseWorker, "worker-1.1", 1000, 5000);
        history.begun(3100, "worker-2.1", "a", 2);
        history.ended(5010, "worker-1.1", "a", 1);
        history.outcome(5020, "worker-1.1", "a", 1, Verdict::Refused, End::Succeeded);
        history.ended(6000, "worker-2.1", "a", 2);
        history.outcome(6001, "worker-2.1", "a", 2, Verdict::Accepted, End::Succeeded);
        history.is("a", "succeeded", 2, Some(6001));
        history
    }

    /// One schedule that is due every second, from 0 s to 9 s, and a scheduler that is killed at 4 s.
    fn with_slots(rule: SlotRule, left_out: &[i64]) -> Self {
        let mut history = Self::new(Fsync::Always);
        let schedule = "tick".to_owned();
        history.add(0, "conductor", What::Schedule { schedule, every_ms: 1000, rule, max_attempts: 3 });
        history.process(1, "scheduler-1.1", Change::Started);
        history.process(1, "scheduler-2.1", Change::Started);
        history.fault(FaultKind::KillScheduler, "scheduler-1.1", 4000, 4500);
        for second in (0..20).filter(|second| !left_out.contains(second)) {
            history.slot(&format!("tick-{second}"), second * 1000);
        }
        history.add(20_000, "conductor", What::SchedulersStop);
        history
    }

    fn slot(&mut self, id: &str, slot_ms: i64) {
        let (id, schedule, slot_ms) = (id.to_owned(), Some("tick".to_owned()), Some(MIDNIGHT_MS + slot_ms));
        let (state, finished_ms) = ("succeeded".to_owned(), Some(MIDNIGHT_MS + 20_000));
        let found = What::Final { id, state, attempts: 1, finished_ms, schedule, slot_ms };
        self.add(60_000, "conductor", found);
    }

    fn check(&self) -> Report {
        let mut events = self.events.clone();
        events.sort_by_key(|event| event.at);
        check(&events)
    }

    /// Nothing is wrong, and the promise was looked at.
    #[track_caller]
    fn keeps(&self, promise: usize) {
        let report = self.check();
        assert!(report.is_clean(), "{report:#?}");
        assert!(report.counts[promise - 1].checked > 0, "`{}` was not looked at", PROMISES[promise - 1]);
    }

    /// This promise is broken, and no other.
    #[track_caller]
    fn breaks(&self, promise: usize, how: &str) {
        let report = self.check();
        let broken: Vec<usize> =
            (1..=PROMISES.len()).filter(|n| !report.counts[*n - 1].violations.is_empty()).collect();
        assert_eq!(broken, [promise], "{report:#?}");
        let violations = &report.counts[promise - 1].violations;
        assert!(violations.iter().any(|text| text.contains(how)), "{violations:#?}");
    }
}

#[test]
fn an_acknowledged_job_comes_to_one_end() {
    let good = History::with_a_job();
    good.keeps(1);

    let mut ended_twice = good.clone();
    ended_twice.is("a", "dead", 3, Some(400));
    ended_twice.breaks(1, "job a has ended 2 times");

    let mut never_ended = History::new(Fsync::Always);
    never_ended.enqueued(10, "b");
    never_ended.is("b", "running", 1, None);
    never_ended.breaks(1, "job b has not ended: it is `running`");

    let mut other_end = History::new(Fsync::Always);
    other_end.enqueued(10, "c");
    other_end.ran(20, 30, "worker-1.1", "c", 1, End::Succeeded);
    other_end.is("c", "dead", 1, Some(30));
    other_end.breaks(1, "job c has ended as `dead`, but `succeeded` was accepted");

    let mut called_off = good.clone();
    called_off.add(40, "producer-1.1", What::Cancelled { id: "a".to_owned(), answer: Answer::Told });
    called_off.keeps(1);
    called_off.add(41, "producer-1.1", What::Cancelled { id: "a".to_owned(), answer: Answer::Cancelled });
    called_off.breaks(1, "job a was called off at 0.041 s and has ended as `succeeded`");

    // Told off before its first run had ended, and yet there is a second.
    let mut told_off = good.clone();
    told_off.add(25, "producer-1.1", What::Cancelled { id: "a".to_owned(), answer: Answer::Told });
    told_off.breaks(1, "job a was called off at 0.025 s in attempt 1 and ran again at 0.100 s");
}

#[test]
fn an_acknowledged_job_is_not_lost() {
    let mut history = History::with_a_job();
    history.keeps(2);
    // What was refused may be there or not.
    let error = "timed out".to_owned();
    history.add(50, "producer-1.1", What::Refused { id: "r".to_owned(), error });
    // What was not stored because of its unique key is not there.
    history.add(51, "producer-1.1", What::Acknowledged { id: "u".to_owned(), stored: false });
    history.keeps(2);
    history.enqueued(60, "b");
    history.breaks(2, "job b, acknowledged at 0.062 s, is not in Redis");
}

#[test]
fn one_outcome_is_accepted() {
    History::with_a_job().keeps(3);

    let mut same_claim = History::with_a_job();
    same_claim.outcome(130, "worker-1.1", "a", 1, Verdict::Accepted, End::Retry);
    same_claim.breaks(3, "claim worker-1.1/1: accepted retrying at 0.031 s and retrying at 0.130 s");

    let mut two_claims = History::with_a_job();
    two_claims.outcome(130, "worker-3.1", "a", 1, Verdict::Accepted, End::Succeeded);
    two_claims.breaks(3, "job a: accepted `succeeded` of claim worker-2.1/2");

    let mut run_twice = History::new(Fsync::Always);
    run_twice.begun(20, "worker-1.1", "b", 1);
    run_twice.ran(21, 30, "worker-1.1", "b", 1, End::Succeeded);
    run_twice.breaks(3, "job b, claim worker-1.1/1: was run at 0.020 s and at 0.021 s");
}

#[test]
fn runs_overlap_only_where_a_lease_had_lapsed() {
    let good = History::with_an_overlap();
    good.keeps(4);
    assert_eq!(good.check().totals.overlaps, 1);

    let mut without_reason = good.clone();
    without_reason.events.retain(|event| !matches!(event.what, What::Fault { .. }));
    without_reason.breaks(4, "job a: overlap, though worker-1.1 could not renew for 0 ms only");

    let mut other_process = good.clone();
    for event in &mut other_process.events {
        if let What::Fault { target, .. } = &mut event.what {
            "worker-2.1".clone_into(target);
        }
    }
    other_process.breaks(4, "overlap");

    // Two short standstills are not one that is long enough.
    let mut too_short = without_reason.clone();
    too_short.fault(FaultKind::DebugSleep, "redis", 1000, 1500);
    too_short.fault(FaultKind::DebugSleep, "redis", 2200, 2700);
    too_short.breaks(4, "overlap");

    let mut starved = without_reason.clone();
    starved.add(2900, "worker-1.1", What::Stalled { us: 1_900_000 });
    starved.keeps(4);

    let mut accepted = good.clone();
    for event in &mut accepted.events {
        if let What::Outcome { attempt: 1, verdict, end, .. } = &mut event.what {
            (*verdict, *end) = (Verdict::Accepted, End::Retry);
        }
    }
    accepted.breaks(4, "the stale run's `retrying` was accepted");
}

#[test]
fn a_run_ends_with_its_process() {
    let mut history = History::new(Fsync::Always);
    history.enqueued(10, "a");
    history.begun(20, "worker-1.1", "a", 1);
    history.fault(FaultKind::KillWorker, "worker-1.1", 100, 300);
    history.process(101, "worker-1.1", Change::Killed);
    history.ran(2200, 2300, "worker-2.1", "a", 2, End::Succeeded);
    history.is("a", "succeeded", 2, Some(2300));
    history.keeps(4);
    assert_eq!(history.check().totals.overlaps, 0);
}

#[test]
fn a_job_does_not_run_after_its_end() {
    let mut again = History::with_a_job();
    again.begun(500, "worker-1.1", "a", 3);
    again.breaks(4, "job a: ended at 0.121 s (attempt 2) and ran again");

    // A claim that was under way while its process stood still.
    let mut late = History::new(Fsync::Always);
    late.enqueued(10, "a");
    late.fault(FaultKind::PauseWorker, "worker-1.1", 15, 4000);
    late.ran(2100, 2200, "worker-2.1", "a", 2, End::Succeeded);
    late.begun(4001, "worker-1.1", "a", 1);
    late.is("a", "succeeded", 2, Some(2200));
    late.keeps(4);
}

#[test]
fn a_slot_is_enqueued_once() {
    History::with_slots(SlotRule::Each, &[]).keeps(5);

    let mut twice = History::with_slots(SlotRule::Each, &[]);
    twice.slot("tick-5-again", 5000);
    twice.breaks(5, "of `tick` was enqueued as tick-5, tick-5-again");

    History::with_slots(SlotRule::Each, &[5]).breaks(5, "slot 1793491205000 of `tick` was not enqueued");
    // Right after a scheduler was killed, another may still be on its way to the lead.
    History::with_slots(SlotRule::InTime, &[5]).keeps(5);
    History::with_slots(SlotRule::InTime, &[12]).breaks(5, "slot 1793491212000 of `tick` was not enqueued");
    History::with_slots(SlotRule::AtMostOnce, &[12]).keeps(5);
}

#[test]
fn a_job_is_not_tried_more_often_than_it_may() {
    let mut history = History::new(Fsync::Always);
    history.enqueued(10, "a");
    for attempt in 1..=3 {
        let from = u64::from(attempt) * 100;
        history.ran(
            from,
            from + 1,
            "worker-1.1",
            "a",
            attempt,
            if attempt < 3 { End::Retry } else { End::Dead },
        );
    }
    history.is("a", "dead", 3, Some(302));
    history.keeps(6);

    let mut once_more = History::new(Fsync::Always);
    once_more.enqueued(10, "a");
    once_more.ran(20, 30, "worker-1.1", "a", 4, End::Succeeded);
    once_more.is("a", "succeeded", 4, Some(30));
    once_more.breaks(6, "job a: attempt 4 of 3");
}

#[test]
fn nothing_is_left_but_what_is_kept() {
    let mut history = History::new(Fsync::Always);
    history.add(1, "conductor", What::Family { name: "done".to_owned(), size: 50, most: 50 });
    history.add(1, "conductor", What::Family { name: "leases".to_owned(), size: 0, most: 0 });
    history.keeps(7);
    history.add(1, "conductor", What::Family { name: "unique".to_owned(), size: 1, most: 0 });
    history.breaks(7, "`unique` has 1 entries, and may have 0");
}

#[test]
fn memory_does_not_grow() {
    let use_of = |bytes: &dyn Fn(u64) -> u64| {
        let mut history = History::new(Fsync::Always);
        for second in 0..100 {
            let (of, bytes) = ("redis".to_owned(), bytes(second));
            history.add(second * 1000, "conductor", What::Memory { of, bytes });
        }
        history
    };
    // It warms up, and has a peak.
    use_of(&|second| if second == 70 { 90_000_000 } else { 20_000_000 + second.min(40) * 500_000 }).keeps(8);
    use_of(&|second| 20_000_000 + second * 200_000).breaks(8, "`redis` has grown by 9.8 MB");
}

#[test]
fn a_job_whose_transaction_was_rolled_back_must_not_be_there() {
    let mut history = History::with_a_job();
    history.add(5, "producer-1.1", What::Withdrawn { id: "b".to_owned() });
    assert!(history.check().is_clean());
    history.is("b", "succeeded", 1, Some(90));
    history.breaks(1, "though its transaction was rolled back");
}

#[test]
fn what_redis_may_lose_is_excused_and_counted() {
    let history = |fsync| {
        let mut history = History::new(fsync);
        history.enqueued(9000, "just before");
        history.fault(FaultKind::KillRedis, "redis", 10_000, 10_500);
        history
    };
    let report = history(Fsync::Everysec).check();
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(report.counts[1].excused, 1);
    history(Fsync::Always).breaks(2, "job just before");

    let mut long_before = history(Fsync::Everysec);
    long_before.enqueued(7000, "long before");
    long_before.breaks(2, "job long before");
}

#[test]
fn a_process_that_ends_by_itself_is_reported() {
    let mut history = History::with_a_job();
    history.process(50, "worker-1.1", Change::Died);
    let report = history.check();
    assert!(!report.is_clean());
    assert_eq!(report.died, ["worker-1.1 (pid 7) at 0.050 s"]);
}

#[test]
fn every_stored_job_is_in_one_collection() {
    let census = |way: &str, ms: u64, places: &[&str]| {
        let mut history = History::new(Fsync::Always);
        let (queue, job) = ("default".to_owned(), "act".to_owned());
        let asked = What::Asked {
            id: "a".to_owned(),
            queue: queue.clone(),
            way: way.to_owned(),
            job,
            max_attempts: 3,
        };
        history.add(10, "producer-1.1", asked);
        history.add(ms, "conductor", What::Census { queue: queue.clone(), jobs: 1 });
        if places.len() != 1 {
            let places = places.iter().map(|place| (*place).to_owned()).collect();
            history.add(ms, "conductor", What::Misplaced { queue, id: "a".to_owned(), places });
        }
        history
    };
    census("native", 20, &["active"]).keeps(9);
    census("native", 20, &[]).breaks(9, "job a of queue `default` was in no collection");
    census("native", 20, &["active", "leases"]).breaks(9, "was in active and leases");
    // Its producer died before the push.
    census("half", 20, &[]).keeps(9);
    census("half", 60_000, &[]).breaks(9, "was in no collection");
}
