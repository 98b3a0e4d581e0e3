//! What an error of Redis means: whether the same command may succeed later, and what an operator can do.
//!
//! This is the only place that knows error replies by their names. Code with an outcome, a lease or a request
//! in hand asks for the [`Class`] of the error: only a command that Redis will never accept is given up.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerError};

/// What happens to a command that failed, when it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// There is no connection to Redis, or no answer in time.
    Unreachable,
    /// Redis answers, and refuses this command as it is now set up or loaded: it may accept it later.
    Later,
    /// Redis will never accept this command: it is wrong, or a key holds something else than we wrote.
    Never,
}

/// An error reply of Redis.
struct Reply {
    code: &'static str,
    /// How the text behind the code begins; empty: in whatever way.
    text: &'static str,
    class: Class,
    remedy: &'static str,
}

const fn later(code: &'static str, remedy: &'static str) -> Reply {
    Reply { code, text: "", class: Class::Later, remedy }
}

/// For replies that have no code of their own but the general `ERR`.
const fn text_later(text: &'static str, remedy: &'static str) -> Reply {
    Reply { code: "ERR", text, class: Class::Later, remedy }
}

const PASSWORD: &str = "Redis wants another login: correct user and password in REDIS_URL";
const RIGHTS: &str = "grant what docs/QUEUE.md lists under Access control";
const REPLICA: &str = "this is a replica: let REDIS_URL name the master, or its Sentinels";
const CLUSTER: &str = "this is a node of a cluster: write redis+cluster:// in REDIS_URL";
const CLUSTER_DOWN: &str = "see CLUSTER INFO: a master is missing, or slots are being moved";

/// Every reply that means "later"; each other one means "never".
const REPLIES: [Reply; 24] = [
    later("LOADING", "wait until Redis has read its data"),
    later("BUSY", "a script or module keeps Redis busy: see SLOWLOG GET, or SCRIPT KILL"),
    later("UNKILLABLE", "a script that has written keeps Redis busy: wait for its end"),
    later("NOSCRIPT", "another client empties the cache of scripts: do not use SCRIPT FLUSH"),
    later("READONLY", REPLICA),
    later("MASTERDOWN", REPLICA),
    later("NOREPLICAS", "let replicas connect, or lower min-replicas-to-write"),
    later("MISCONF", "Redis cannot write to its disk: see its log, and free space on its disk"),
    later("OOM", "the memory of Redis is full: raise maxmemory, or discard jobs"),
    later("NOAUTH", PASSWORD),
    later("WRONGPASS", PASSWORD),
    later("NOPERM", RIGHTS),
    later("DENIED", "Redis is in protected mode: give it a password, or let it listen to loopback only"),
    later("CLUSTERDOWN", CLUSTER_DOWN),
    later("TRYAGAIN", CLUSTER_DOWN),
    later("MOVED", CLUSTER),
    later("ASK", CLUSTER),
    text_later("max number of clients", "raise maxclients of Redis, or find who keeps connections open"),
    // Of a connection without a login, when a command is large.
    text_later("Protocol error: unauthenticated", PASSWORD),
    text_later("Authentication required", PASSWORD),
    // Of commands in a script, by version.
    text_later("The user executing the script can't", RIGHTS),
    text_later("ACL failure in script", RIGHTS),
    text_later("AUTH failed", PASSWORD),
    text_later("DB index is out of range", "correct the database number in REDIS_URL"),
];

/// What Redis, or the connection to it, said. Its text holds all: it has no source.
#[derive(Clone)]
pub struct RedisFault(RedisError);

impl From<RedisError> for RedisFault {
    fn from(error: RedisError) -> Self {
        Self(error)
    }
}

impl RedisFault {
    /// The first error reply; absent when Redis did not answer with one.
    fn reply(&self) -> Option<ServerError> {
        // A pipeline has a reply for each of its commands.
        self.0.clone().into_server_errors()?.first().map(|(_, error)| error.clone())
    }

    /// The entry of the table for this reply, or for the refusal of a login or a database number.
    fn known(&self) -> Option<&'static Reply> {
        let reply = self.reply();
        let (code, text) = match (&reply, self.0.kind()) {
            (Some(reply), _) => (reply.code(), reply.details().unwrap_or_default()),
            // While a connection was set up: the driver has replaced the reply by words of its own.
            (None, ErrorKind::AuthenticationFailed) => ("WRONGPASS", ""),
            (None, ErrorKind::Server(_)) => {
                (self.0.code().unwrap_or_default(), self.0.detail().unwrap_or_default())
            }
            (None, _) => return None,
        };
        REPLIES.iter().find(|known| known.code == code && text.starts_with(known.text))
    }

    /// What happens to the command when it is sent again.
    pub fn class(&self) -> Class {
        if let Some(known) = self.known() {
            return known.class;
        }
        match self.0.kind() {
            _ if self.reply().is_some() => Class::Never,
            ErrorKind::UnexpectedReturnType => Class::Never,
            // A connection could not be set up: the command was not even sent.
            ErrorKind::Server(_) => Class::Later,
            _ => Class::Unreachable,
        }
    }

    /// What an operator can do.
    pub fn remedy(&self) -> Option<&'static str> {
        self.known().map(|known| known.remedy)
    }

    /// The first word of the reply, such as `MISCONF`.
    pub fn code(&self) -> Option<String> {
        self.reply().map(|reply| reply.code().to_owned())
    }
}

impl fmt::Display for RedisFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(reply) = self.reply() else {
            // The driver writes the name of its own kind of error into the text.
            return f.write_str(&self.0.to_string().replacen(&format!(" - {:?}", self.0.kind()), "", 1));
        };
        match reply.details() {
            Some(text) => write!(f, "{} {text}", reply.code()),
            None => f.write_str(reply.code()),
        }
    }
}

impl fmt::Debug for RedisFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for RedisFault {}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, RedisError};

    use super::{Class, REPLIES, RedisFault};

    /// As the driver reads it.
    fn fault(reply: &str) -> RedisFault {
        let value = redis::parse_redis_value(format!("-{reply}\r\n").as_bytes()).unwrap();
        RedisFault::from(value.extract_error().unwrap_err())
    }

    #[test]
    fn each_reply_of_the_table_is_found_and_has_a_remedy() {
        for known in &REPLIES {
            let fault = fault(&format!("{} {}", known.code, known.text));
            assert_eq!(fault.class(), known.class, "{fault}");
            assert_eq!(fault.remedy(), Some(known.remedy), "{fault}");
            assert!(!known.remedy.is_empty(), "{fault}");
        }
    }

    #[test]
    fn replies_are_classed_and_shown_as_redis_wrote_them() {
        let later = [
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            "READONLY You can't write against a read only replica.",
            "MISCONF Errors writing to the AOF file: No space left on device",
            "NOREPLICAS Not enough good replicas to write.",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "NOPERM User dogwatch has no permissions to run the 'zadd' command",
            "CLUSTERDOWN The cluster is down",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "MOVED 3999 127.0.0.1:6381",
            "NOSCRIPT No matching script. Please use EVAL.",
            "ERR max number of clients reached",
            "ERR Protocol error: unauthenticated multibulk length",
            "ERR The user executing the script can't run this command or subcommand script: 1, on @user_script:1.",
        ];
        let never = [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "ERR unknown command 'evalsha'",
            "ERR invalid expire time in 'set' command",
            "CROSSSLOT Keys in request don't hash to the same slot",
            "EXECABORT Transaction discarded because of previous errors.",
            "NOPROTO unsupported protocol version",
            "SOMETHING that no Redis says today",
        ];
        let cases = later.map(|reply| (reply, Class::Later)).into_iter();
        for (reply, class) in cases.chain(never.map(|reply| (reply, Class::Never))) {
            let fault = fault(reply);
            assert_eq!(fault.class(), class, "{reply}");
            assert_eq!(fault.to_string(), reply);
        }
    }

    #[test]
    fn what_is_no_reply_is_classed_by_where_it_arose() {
        let of = |error: RedisError| RedisFault::from(error).class();
        assert_eq!(of(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()), Class::Unreachable);
        assert_eq!(of((ErrorKind::MasterNameNotFoundBySentinel, "none").into()), Class::Unreachable);
        assert_eq!(
            of((ErrorKind::AuthenticationFailed, "Password authentication failed").into()),
            Class::Later
        );
        assert_eq!(of((ErrorKind::UnexpectedReturnType, "not a number").into()), Class::Never);
        let refused =
            (ErrorKind::Server(redis::ServerErrorKind::ResponseError), "refused", "other".to_owned());
        assert_eq!(of(refused.into()), Class::Later, "a connection that could not be set up");
        let login = RedisFault::from(RedisError::from((ErrorKind::AuthenticationFailed, "it failed")));
        assert_eq!(login.to_string(), "it failed");
    }
}
