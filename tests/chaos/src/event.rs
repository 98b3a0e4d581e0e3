//! What happens in a run, as it is written down: the only thing that the checker sees.
//!
//! Every process writes its own events into a ledger of its own (`ledger.rs`), none of them through the system that is
//! tested. Times are of `CLOCK_MONOTONIC`, which all processes of a machine share and nothing steps, so that events of
//! different processes can be put in order.

use serde::{Deserialize, Serialize};

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When, in µs of the monotonic clock.
    pub(crate) at: u64,
    /// The same in µs since 1970, by a clock that may be wrong.
    pub(crate) wall: i64,
    /// Which process: its place and how often it was started, `worker-2.5`.
    pub(crate) by: String,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum What {
    /// The run, as it was asked for.
    Began { seed: u64, fsync: Fsync, lease_ms: u64 },
    /// A schedule that is in force for the whole run.
    Schedule { schedule: String, every_ms: i64, rule: SlotRule, max_attempts: u32 },
    /// From now on nobody schedules.
    SchedulersStop,
    /// Something was done to a process, or it ended.
    Process { process: String, pid: u32, change: Change },
    /// A fault, at its beginning and at its end.
    Fault { number: u64, kind: FaultKind, target: String, phase: Phase },
    /// The process was not run by the machine for so long until now: its lease may have lapsed without a fault of ours.
    Stalled { us: u64 },
    /// Somebody asks for a job to be stored.
    Asked { id: String, queue: String, way: String, job: String, max_attempts: u32 },
    /// It was stored; or not, since another holds its unique key.
    Acknowledged { id: String, stored: bool },
    /// Its transaction will be rolled back: there is no such job.
    Withdrawn { id: String },
    /// It was refused, or nothing is known of it.
    Refused { id: String, error: String },
    /// Somebody has called a job off, and was told this.
    Cancelled { id: String, answer: Answer },
    /// A run of a job begins, as the job sees it.
    Begun { id: String, attempt: u32, token: String, schedule: Option<String>, slot_ms: Option<i64> },
    /// A run ends, as the job sees it.
    Ended { id: String, token: String, how: How },
    /// What became of a run's outcome, as its worker was told by Redis.
    Outcome { id: String, attempt: u32, token: String, verdict: Verdict, end: End },
    /// A scheduler has read its file.
    Ready,
    /// A scheduler has taken the lead.
    Leads { epoch: u64 },
    /// A job as it stood in Redis after its end, or when all was over.
    Final {
        id: String,
        state: String,
        attempts: u32,
        finished_ms: Option<i64>,
        schedule: Option<String>,
        slot_ms: Option<i64>,
    },
    /// Jobs of a queue that were stored when it was looked whether each is in one collection.
    Census { queue: String, jobs: u64 },
    /// A stored job that was in no collection, or in several.
    Misplaced { queue: String, id: String, places: Vec<String> },
    /// What is left in a family of keys when all was over, and how much may be.
    Family { name: String, size: u64, most: u64 },
    /// How much memory a process uses; Redis tells it of its data.
    Memory { of: String, bytes: u64 },
}

/// When Redis writes to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fsync {
    /// Once a second: what was acknowledged may be lost with the last two.
    Everysec,
    /// Before it answers: nothing may be lost.
    Always,
}

impl Fsync {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Everysec => "everysec",
            Self::Always => "always",
        }
    }
}

/// Which slots of a schedule have to be enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SlotRule {
    /// Each once, however late.
    Each,
    /// Each at most once, and once where a scheduler was there in its time.
    InTime,
    /// Each at most once.
    AtMostOnce,
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Started,
    /// By SIGKILL.
    Killed,
    /// By SIGSTOP.
    Paused,
    /// By SIGCONT.
    Continued,
    /// It was told to stop and did.
    Stopped,
    /// It ended by itself, or did not stop as it was told to.
    Died,
}

/// What the nemesis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    KillWorker,
    KillScheduler,
    KillRedis,
    PauseWorker,
    PauseScheduler,
    ClientKill,
    ClientPause,
    DebugSleep,
    ScriptFlush,
    RewriteAof,
    FullMemory,
    SlowLink,
    CutLink,
    BlackHole,
    ClockStep,
    /// As by a deployment: SIGTERM, and the next one starts.
    RestartWorker,
    RestartScheduler,
    /// schedules.toml is changed, or broken for a while.
    EditSchedules,
    /// An operator pauses a queue for a while.
    PauseQueue,
    /// SIGKILL of the API, or of who relays the outbox.
    KillProgram,
    KillPostgres,
}

impl FaultKind {
    /// Whether Redis cannot be used while it lasts, by anyone.
    pub(crate) fn hits_redis(self) -> bool {
        use FaultKind::{
            ClientKill, ClientPause, DebugSleep, FullMemory, KillRedis, RewriteAof, ScriptFlush,
        };
        matches!(
            self,
            KillRedis | ClientKill | ClientPause | DebugSleep | ScriptFlush | RewriteAof | FullMemory
        )
    }

    /// As people and the ledger have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KillWorker => "kill_worker",
            Self::KillScheduler => "kill_scheduler",
            Self::KillRedis => "kill_redis",
            Self::PauseWorker => "pause_worker",
            Self::PauseScheduler => "pause_scheduler",
            Self::ClientKill => "client_kill",
            Self::ClientPause => "client_pause",
            Self::DebugSleep => "debug_sleep",
            Self::ScriptFlush => "script_flush",
            Self::RewriteAof => "rewrite_aof",
            Self::FullMemory => "full_memory",
            Self::SlowLink => "slow_link",
            Self::CutLink => "cut_link",
            Self::BlackHole => "black_hole",
            Self::ClockStep => "clock_step",
            Self::RestartWorker => "restart_worker",
            Self::RestartScheduler => "restart_scheduler",
            Self::EditSchedules => "edit_schedules",
            Self::PauseQueue => "pause_queue",
            Self::KillProgram => "kill_program",
            Self::KillPostgres => "kill_postgres",
        }
    }

    /// Whether a lease cannot be renewed while it lasts. A full Redis renews leases, a script that Redis has forgotten
    /// is sent again, and who was told to stop renews until it has.
    pub(crate) fn keeps_from_renewing(self) -> bool {
        use FaultKind::{
            ClockStep, EditSchedules, FullMemory, KillPostgres, KillProgram, PauseQueue, RestartScheduler,
            RestartWorker, ScriptFlush,
        };
        !matches!(
            self,
            FullMemory
                | ScriptFlush
                | ClockStep
                | RestartWorker
                | RestartScheduler
                | EditSchedules
                | PauseQueue
                | KillProgram
                | KillPostgres
        )
    }
}

/// Where in a fault an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Begin,
    End,
}

/// How a run ended, as the job sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Done,
    Failed,
    Panicked,
    Snoozed,
    Discarded,
    /// It was told to stop, and did.
    Obeyed,
    /// It was not run any further: its time limit, its lease, or its worker had ended.
    Dropped,
}

/// What Redis said of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Accepted,
    Refused,
    Unsent,
}

/// What is said to somebody who calls a job off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It will not run any more.
    Cancelled,
    /// It runs, its worker is told, and it does not run again.
    Told,
    /// It had ended, or is not there.
    TooLate,
    /// Nothing.
    None,
}

/// What an outcome makes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Succeeded,
    Dead,
    Cancelled,
    Expired,
    Retry,
    Snoozed,
    Released,
}

impl End {
    /// Whether nothing follows.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled | Self::Expired)
    }

    /// The word that stands in Redis then.
    pub(crate) fn state(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Retry => "retrying",
            Self::Snoozed => "scheduled",
            Self::Released => "ready",
        }
    }
}

/// Whether a job in this state has come to its end.
pub(crate) fn has_ended(state: &str) -> bool {
    matches!(state, "succeeded" | "dead" | "cancelled" | "expired")
}

/// The place of a process, without the number of its start: `worker-2` of `worker-2.5`.
pub(crate) fn place(process: &str) -> &str {
    process.split_once('.').map_or(process, |(place, _)| place)
}
