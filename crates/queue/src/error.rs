//! What can go wrong between us and Redis, and with what is put into it.

/// Why a command to the queue did not succeed. Display does not repeat the source: print the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// Redis did not answer, or refused the command.
    #[error("cannot {doing}")]
    Redis {
        /// What was attempted.
        doing: &'static str,
        /// What Redis or the connection said.
        source: redis::RedisError,
    },
    /// The address is none of Redis.
    #[error(
        "`{url}` is not an address of Redis; write redis://HOST:PORT/DB, rediss://… or redis+unix:///PATH"
    )]
    Url {
        /// The address without its password.
        url: String,
        /// What the parser said.
        source: redis::RedisError,
    },
    /// The name is not registered.
    #[error("job `{name}` does not exist; {hint}")]
    UnknownJob {
        /// The name that was asked for.
        name: String,
        /// The name that may have been meant, or all names.
        hint: String,
    },
    /// The arguments do not fit the job.
    #[error("job `{job}`: argument {pointer}: {reason}")]
    Arguments {
        /// The job.
        job: String,
        /// JSON pointer into the arguments.
        pointer: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A value beside the arguments is out of its bounds.
    #[error("{field} `{value}`: {reason}")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        reason: &'static str,
    },
    /// Several queues have a job with this id, and none of them was named.
    #[error("{}", ambiguous(id, queues))]
    Ambiguous {
        /// The id.
        id: String,
        /// The queues that have one.
        queues: Vec<String>,
    },
}

/// Names of queues that one message lists.
const MAX_LISTED: usize = 10;

fn ambiguous(id: &str, queues: &[String]) -> String {
    let listed: Vec<String> = queues.iter().take(MAX_LISTED).map(|queue| format!("`{queue}`")).collect();
    let more = match queues.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("job `{id}` exists in {} queues: {}{more}; name one of them", queues.len(), listed.join(", "))
}

impl QueueError {
    /// True when the fault is Redis's or the network's, so that trying again later may succeed.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Redis { .. })
    }

    /// True when Redis or the way to it is away, and not when it dislikes what it gets.
    pub(crate) fn is_outage(&self) -> bool {
        let Self::Redis { source, .. } = self else { return false };
        source.is_io_error()
            || source.is_unrecoverable_error()
            || source.is_cluster_error()
            || matches!(
                source.code(),
                Some(
                    "LOADING"
                        | "READONLY"
                        | "MASTERDOWN"
                        | "OOM"
                        | "MISCONF"
                        | "NOREPLICAS"
                        | "TRYAGAIN"
                        | "CLUSTERDOWN"
                        | "BUSY"
                )
            )
    }

    pub(crate) fn redis(doing: &'static str) -> impl FnOnce(redis::RedisError) -> Self {
        move |source| Self::Redis { doing, source }
    }
}
