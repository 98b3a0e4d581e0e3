//! Jobs in Redis: who enqueues them, who runs them, and when.
//!
//! A [`Producer`] stores a job; a [`Worker`] claims it under a lease, runs it and stores its outcome; the
//! [`Scheduler`] enqueues what `schedules.toml` says is due; an [`Inspector`] tells what became of a job. None of
//! them knows what a job does: a [`Registry`] maps names to types that implement [`Job`].
//!
//! The keys are those of apalis-redis and apalis is the worker's runtime, but every step that changes a job is a Lua
//! script of ours (`lua/`), so that it happens as a whole or not at all. What is promised: a job that was accepted
//! ends succeeded or dead, whatever is killed; it may run more than once, but only one outcome is accepted.

mod address;
mod celery;
mod claim;
mod client;
mod clock;
mod context;
mod control;
mod error;
mod feed;
mod history;
mod inspector;
mod job;
mod job_ref;
mod keys;
mod lease;
mod limit_changes;
mod link;
mod log_limit;
mod new_job;
mod outage;
mod outcome;
mod presence;
mod producer;
mod pulse;
mod reconcile;
mod record;
mod registry;
mod repeat;
mod reply;
mod run;
pub mod scheduler;
mod script;
mod self_test;
mod sentinel;
mod settings;
mod settle;
mod sweep;
mod target;
mod tls;
mod totals;
mod trace;
mod unknown;
mod wake;
mod worker;

pub use self::address::shown_address;
pub use self::celery::{CeleryList, Settings as CelerySettings, Task as CeleryTask, Unknown as UnknownTasks};
pub use self::client::{Client, probe};
pub use self::clock::Clock;
pub use self::context::Run;
pub use self::control::{Cancelled, Control, DeadFilter, JobCount};
pub use self::error::QueueError;
pub use self::history::{HISTORY, JobHistory};
pub use self::inspector::{Inspector, JobFilter, ListPosition, QueueCounts, SchedulerStatus};
pub use self::job::{Job, JobError, NextStep, Pause, Retry, mins, secs};
pub use self::job_ref::JobRef;
pub use self::log_limit::{Due as LogDue, LogLimit};
pub use self::new_job::{NORMAL_PRIORITY, NewJob, Unique, UniqueUntil};
pub use self::outage::{Outage, error_chain};
pub use self::presence::{RunningJob, WorkerInfo};
pub use self::producer::{Enqueued, Producer, Relayed};
pub use self::pulse::Pulse;
pub use self::record::{FailedAttempt, JobRecord, JobState, ResultError};
pub use self::registry::{Catalog, JobInfo, Registry, nearest, suggestion};
pub use self::reply::{Class, RedisFault};
pub use self::scheduler::Scheduler;
#[doc(hidden)]
pub use self::script::Scripts;
pub use self::settings::{Limit, Rate, Settings};
pub use self::totals::{CeleryTotals, JobTotals, TickTotals};
pub use self::trace::{TraceContext, TraceId};
pub use self::worker::{Stop, Worker};
