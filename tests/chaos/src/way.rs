//! The ways in: how a job gets into the queue. Another one is a variant here and a function in `entrance.rs` or `doors.rs`.

use dogwatch_queue::NewJob;
use serde_json::json;

use crate::jobs::{ATTEMPTS, THROUGH_A_DOOR};

/// How a job gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `Producer::enqueue`
    Native,
    /// `Producer::enqueue_all`
    Group,
    /// Two commands of plain Redis.
    Plain,
    /// The first of them alone: the producer is killed before the second.
    Half,
    /// Both, with a payload that nobody can read.
    Garbage,
    /// `RedisStorage::push_task` of stock apalis-redis.
    Apalis,
    /// An envelope as a Celery client pushes it.
    Celery,
    /// `POST /api/v1/jobs` of the program's API.
    Http,
    /// `dogwatch enqueue`
    CommandLine,
    /// `SELECT dogwatch.enqueue(…)` in a transaction, which a relay of the program's notices.
    Outbox,
}

impl Way {
    /// All of them, each with how many jobs of a hundred come by it.
    pub(crate) const SHARES: [(Self, u32); 10] = [
        (Self::Native, 30),
        (Self::Group, 25),
        (Self::Plain, 8),
        (Self::Half, 1),
        (Self::Garbage, 1),
        (Self::Apalis, 8),
        (Self::Celery, 8),
        (Self::Http, 8),
        (Self::CommandLine, 2),
        (Self::Outbox, 9),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Group => "group",
            Self::Plain => "plain",
            Self::Half => "half",
            Self::Garbage => "garbage",
            Self::Apalis => "apalis",
            Self::Celery => "celery",
            Self::Http => "http",
            Self::CommandLine => "cli",
            Self::Outbox => "outbox",
        }
    }

    /// Jobs that are sent together.
    pub(crate) fn group(self) -> u32 {
        match self {
            Self::Group => 10,
            Self::Outbox => 3,
            _ => 1,
        }
    }

    /// How often the same is sent again when the answer was lost. Plain commands would push an id twice.
    pub(crate) fn repeats(self) -> u32 {
        match self {
            Self::Native | Self::Group | Self::Http | Self::CommandLine => 1,
            // A transaction that may have committed would have its jobs forgotten and run again after a long outage.
            Self::Outbox | Self::Plain | Self::Half | Self::Garbage | Self::Apalis | Self::Celery => 0,
        }
    }

    /// What of a job can be said by this way.
    pub(crate) fn tell(self, job: NewJob) -> NewJob {
        match self {
            Self::Celery => NewJob { queue: "default".to_owned(), unique: None, expires: None, ..job },
            Self::Http | Self::CommandLine => through_a_door(job),
            Self::Outbox => NewJob { unique: None, expires: None, ..through_a_door(job) },
            _ => job,
        }
    }

    /// Whether it leads through the program, its Postgres included.
    pub(crate) fn is_a_door(self) -> bool {
        matches!(self, Self::Http | Self::CommandLine | Self::Outbox)
    }

    /// How often a job that came this way may be tried.
    pub(crate) fn max_attempts(self, job: &NewJob) -> u32 {
        match self {
            Self::Native | Self::Group | Self::Http | Self::CommandLine | Self::Outbox => {
                job.max_attempts.unwrap_or(ATTEMPTS)
            }
            Self::Plain | Self::Half | Self::Apalis | Self::Celery => ATTEMPTS,
            // It is not tried at all, so that a worker that is killed with it in its hands counts and nothing else.
            Self::Garbage => 1000,
        }
    }
}

/// The program lets no job through that it does not know: what is to be done is said in an argument of one that it knows.
fn through_a_door(job: NewJob) -> NewJob {
    let args = json!({ "services": [job.args.to_string()] });
    NewJob { job: THROUGH_A_DOOR.to_owned(), args, ..job }
}
