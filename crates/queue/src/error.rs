//! What can go wrong between us and Redis, and with what is put into it.

use crate::reply::{Class, RedisFault};

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
        source: RedisFault,
    },
    /// The address is not one of Redis.
    #[error(
        "`{url}` is not an address of Redis: {reason}; \
         write redis://HOST:PORT/DB, rediss://… or redis+unix:///PATH"
    )]
    Url {
        /// The address without its login and options.
        url: String,
        /// What is wrong. It holds no secret.
        reason: String,
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
    /// What Redis, or the connection to it, said.
    pub fn fault(&self) -> Option<&RedisFault> {
        if let Self::Redis { source, .. } = self { Some(source) } else { None }
    }

    /// True when trying again later may succeed, without any change of what is sent.
    pub fn is_unavailable(&self) -> bool {
        self.fault().is_some_and(|fault| fault.class() != Class::Never)
    }

    /// What Redis answered, where it answers and refuses for now, such as `MISCONF …`.
    pub fn refusal(&self) -> Option<String> {
        self.fault().filter(|fault| fault.class() == Class::Later).map(ToString::to_string)
    }

    pub(crate) fn redis(doing: &'static str) -> impl FnOnce(redis::RedisError) -> Self {
        move |source| Self::Redis { doing, source: source.into() }
    }
}
