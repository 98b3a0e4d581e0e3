//! The events of a history, sorted by what they are about.

use std::collections::BTreeMap;

use super::Totals;
use super::faults::Faults;
use crate::event::{Answer, Change, End, Event, Fsync, How, SlotRule, Verdict, What, has_ended};

/// A run that is stopped is dropped by its runtime some moments after that was decided.
const DROPPED: u64 = 100_000;

/// All that a history tells.
pub(super) struct Facts<'a> {
    pub(super) lease: u64,
    pub(super) jobs: BTreeMap<&'a str, Job<'a>>,
    pub(super) schedules: BTreeMap<&'a str, Schedule>,
    /// When nobody scheduled any more, by the wall clock.
    pub(super) schedulers_stop_ms: Option<i64>,
    /// Places of schedulers.
    pub(super) schedulers: Vec<&'a str>,
    pub(super) faults: Faults<'a>,
    pub(super) families: Vec<(&'a str, u64, u64)>,
    /// By what uses it: when, and how many bytes.
    pub(super) memory: BTreeMap<&'a str, Vec<(u64, u64)>>,
    pub(super) died: Vec<String>,
    /// Stored jobs that were looked at in all censuses.
    pub(super) counted: u64,
    /// When, of which queue, which job, and where it was.
    pub(super) misplaced: Vec<(u64, &'a str, &'a str, &'a [String])>,
    first: u64,
    /// The wall clock, in µs, when the monotonic one was zero.
    epoch: i64,
    /// When each process was killed or ended.
    gone: BTreeMap<&'a str, u64>,
    end: u64,
}

/// What is known of one job.
#[derive(Default)]
pub(super) struct Job<'a> {
    /// When it was acknowledged as stored.
    pub(super) acknowledged: Option<u64>,
    /// Its transaction was rolled back.
    pub(super) withdrawn: bool,
    pub(super) max_attempts: Option<u32>,
    /// When it was asked for, by a producer that died before it pushed the id.
    pub(super) unfinished_since: Option<u64>,
    /// When somebody who called it off was told that it will not run any more.
    pub(super) called_off: Option<u64>,
    /// When somebody who called it off was told that it runs and will not run again.
    pub(super) told_off: Option<u64>,
    /// By token.
    pub(super) runs: BTreeMap<&'a str, Run<'a>>,
    pub(super) finals: Vec<Final<'a>>,
    pub(super) schedule: Option<(&'a str, i64)>,
    /// Of all its events.
    pub(super) times: Vec<u64>,
}

/// One claim of a job, and the run that came of it.
#[derive(Default)]
pub(super) struct Run<'a> {
    pub(super) token: &'a str,
    pub(super) process: &'a str,
    pub(super) attempt: u32,
    /// When it began; a claim ought to be run once.
    pub(super) begun: Vec<u64>,
    pub(super) ended: Option<(u64, How)>,
    pub(super) outcomes: Vec<Outcome>,
}

pub(super) struct Outcome {
    pub(super) at: u64,
    pub(super) verdict: Verdict,
    pub(super) end: End,
}

#[derive(Clone, PartialEq)]
pub(super) struct Final<'a> {
    pub(super) state: &'a str,
    pub(super) attempts: u32,
    pub(super) finished_ms: Option<i64>,
}

pub(super) struct Schedule {
    pub(super) every_ms: i64,
    pub(super) rule: SlotRule,
    pub(super) max_attempts: u32,
}

impl<'a> Facts<'a> {
    pub(super) fn of(events: &'a [Event]) -> Self {
        let (first, end) =
            (events.first().map_or(0, |event| event.at), events.last().map_or(0, |event| event.at));
        let (mut lease, mut fsync) = (2_000_000, Fsync::Always);
        for event in events {
            if let What::Began { fsync: asked, lease_ms, .. } = &event.what {
                (lease, fsync) = (lease_ms * 1000, *asked);
            }
        }
        let mut facts = Self {
            lease,
            jobs: BTreeMap::new(),
            schedules: BTreeMap::new(),
            schedulers_stop_ms: None,
            schedulers: Vec::new(),
            faults: Faults::of(events, fsync, end),
            families: Vec::new(),
            memory: BTreeMap::new(),
            died: Vec::new(),
            counted: 0,
            misplaced: Vec::new(),
            first,
            epoch: events.first().map_or(0, |event| event.wall - event.at.cast_signed()),
            gone: BTreeMap::new(),
            end,
        };
        for event in events {
            facts.note(event);
        }
        facts
    }

    fn job(&mut self, id: &'a str, at: u64) -> &mut Job<'a> {
        let job = self.jobs.entry(id).or_default();
        job.times.push(at);
        job
    }

    fn run(&mut self, id: &'a str, token: &'a str, event: &'a Event) -> &mut Run<'a> {
        let run = self.job(id, event.at).runs.entry(token).or_default();
        (run.token, run.process) = (token, &event.by);
        run
    }

    fn note(&mut self, event: &'a Event) {
        let at = event.at;
        match &event.what {
            What::Asked { id, max_attempts, way, .. } => {
                let job = self.job(id, at);
                job.max_attempts = Some(*max_attempts);
                job.unfinished_since = (way == "half").then_some(at);
            }
            What::Acknowledged { id, stored: true } => {
                self.job(id, at).acknowledged.get_or_insert(at);
            }
            What::Withdrawn { id } => self.job(id, at).withdrawn = true,
            What::Cancelled { id, answer: Answer::Cancelled } => self.job(id, at).called_off = Some(at),
            What::Cancelled { id, answer: Answer::Told } => self.job(id, at).told_off = Some(at),
            What::Begun { id, attempt, token, schedule, slot_ms } => {
                let run = self.run(id, token, event);
                run.attempt = *attempt;
                run.begun.push(at);
                self.job(id, at).comes_from(schedule.as_deref(), *slot_ms);
            }
            What::Ended { id, token, how } => self.run(id, token, event).ended = Some((at, *how)),
            What::Outcome { id, attempt, token, verdict, end } => {
                let run = self.run(id, token, event);
                run.attempt = *attempt;
                run.outcomes.push(Outcome { at, verdict: *verdict, end: *end });
            }
            What::Final { id, state, attempts, finished_ms, schedule, slot_ms } => {
                // Not at `at`: it was only looked at then.
                let job = self.jobs.entry(id).or_default();
                job.comes_from(schedule.as_deref(), *slot_ms);
                let found = Final { state, attempts: *attempts, finished_ms: *finished_ms };
                if !job.finals.contains(&found) {
                    job.finals.push(found);
                }
            }
            What::Schedule { schedule, every_ms, rule, max_attempts } => {
                let known = Schedule { every_ms: *every_ms, rule: *rule, max_attempts: *max_attempts };
                self.schedules.insert(schedule, known);
            }
            What::SchedulersStop => self.schedulers_stop_ms = Some(event.wall / 1000),
            What::Process { process, pid, change } => self.process(process, *pid, *change, at),
            What::Family { name, size, most } => self.families.push((name, *size, *most)),
            What::Census { jobs, .. } => self.counted += jobs,
            What::Misplaced { queue, id, places } => self.misplaced.push((at, queue, id, places)),
            What::Memory { of, bytes } => self.memory.entry(of).or_default().push((at, *bytes)),
            What::Acknowledged { .. }
            | What::Refused { .. }
            | What::Cancelled { .. }
            | What::Began { .. }
            | What::Fault { .. }
            | What::Stalled { .. }
            | What::Ready
            | What::Leads { .. } => {}
        }
    }

    fn process(&mut self, process: &'a str, pid: u32, change: Change, at: u64) {
        let place = crate::event::place(process);
        if change == Change::Started && place.starts_with("scheduler") && !self.schedulers.contains(&place) {
            self.schedulers.push(place);
        }
        if change == Change::Died {
            self.died.push(format!("{process} (pid {pid}) at {}", self.time(at)));
        }
        if matches!(change, Change::Killed | Change::Stopped | Change::Died) {
            self.gone.insert(process, at);
        }
    }

    /// When a run was over: as the job or its worker said, or with its process, or never.
    pub(super) fn end_of(&self, run: &Run<'a>) -> u64 {
        let said =
            run.ended.map(|(at, how)| if how == How::Dropped { at.saturating_sub(DROPPED) } else { at });
        let settled = run.outcomes.iter().find(|outcome| outcome.verdict == Verdict::Accepted);
        let gone = self.gone.get(run.process).copied();
        [said, settled.map(|outcome| outcome.at), gone].into_iter().flatten().min().unwrap_or(self.end)
    }

    /// How often the job may be tried.
    pub(super) fn max_attempts(&self, job: &Job<'a>) -> Option<u32> {
        let schedule = job.schedule.and_then(|(name, _)| self.schedules.get(name));
        job.max_attempts.or(schedule.map(|schedule| schedule.max_attempts))
    }

    /// Whether Redis may have lost or undone something of the job.
    pub(super) fn may_be_lost(&self, job: &Job<'a>) -> bool {
        job.times.iter().any(|at| self.faults.may_lose(*at))
            || job.finals.iter().filter_map(|end| end.finished_ms).any(|ms| self.faults.may_lose_at_ms(ms))
    }

    /// A time of day on the monotonic clock; `None` before the beginning.
    pub(super) fn monotonic(&self, ms: i64) -> Option<u64> {
        u64::try_from(ms * 1000 - self.epoch).ok().filter(|at| *at >= self.first)
    }

    /// A time as people read it: seconds since the beginning.
    pub(super) fn time(&self, at: u64) -> String {
        format!("{:.3} s", at.saturating_sub(self.first) as f64 / 1e6)
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals { jobs: self.jobs.len() as u64, ..Totals::default() };
        for job in self.jobs.values() {
            totals.acknowledged += u64::from(job.acknowledged.is_some());
            for run in job.runs.values() {
                totals.runs += run.begun.len() as u64;
                for outcome in &run.outcomes {
                    let count = match outcome.verdict {
                        Verdict::Accepted => &mut totals.accepted,
                        Verdict::Refused => &mut totals.refused,
                        Verdict::Unsent => &mut totals.unsent,
                    };
                    *count += 1;
                    let retried = outcome.verdict == Verdict::Accepted && outcome.end == End::Retry;
                    totals.retries += u64::from(retried);
                }
            }
        }
        totals
    }
}

impl<'a> Job<'a> {
    fn comes_from(&mut self, schedule: Option<&'a str>, slot_ms: Option<i64>) {
        if let (Some(schedule), Some(slot_ms)) = (schedule, slot_ms) {
            self.schedule = Some((schedule, slot_ms));
        }
    }

    /// Ends that were seen in Redis.
    pub(super) fn ends(&self) -> impl Iterator<Item = &Final<'a>> {
        self.finals.iter().filter(|found| has_ended(found.state))
    }

    /// Outcomes that Redis has accepted, with their runs.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (&Run<'a>, &Outcome)> {
        let all = self.runs.values().flat_map(|run| run.outcomes.iter().map(move |outcome| (run, outcome)));
        all.filter(|(_, outcome)| outcome.verdict == Verdict::Accepted)
    }
}
