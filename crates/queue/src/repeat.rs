//! Which commands may be sent a second time when the connection was lost before their answer arrived.
//!
//! The first copy may have been executed. A command may be sent again by itself only when twice is the same
//! as once, in Redis and in its answer.

use redis::{Arg, Cmd};

use crate::script::{Scripts, Step};

/// How a command is sent when connections may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Again, on a new connection: twice is the same as once.
    Again,
    /// Once: the loop that sends it repeats it in its own way, and logs for how long.
    ByCaller,
    /// Once, after a PING has shown that the connection works: a second answer would be wrong.
    Once,
}

/// Plain commands for which twice is the same as once.
const AGAIN: [&str; 31] = [
    "PING", "TIME", "INFO", "GET", "MGET", "EXISTS", "PTTL", "HGET", "HMGET", "HGETALL", "HKEYS", "HLEN",
    "HEXISTS", "HSCAN", "LLEN", "LRANGE", "LINDEX", "ZRANGE", "ZCARD", "ZSCORE", "SCARD", "SMEMBERS", "SADD",
    "HDEL", "HSETNX", "SET", "SETEX", "DEL", "UNLINK", "ZADD", "SCRIPT",
];
/// More of them, for the housekeeping of a worker's entry.
const AGAIN_REMOVING: [&str; 4] = ["ZREM", "ZREMRANGEBYSCORE", "SREM", "ZRANGEBYSCORE"];

impl Step {
    /// How this step is sent. Its answer counts as well: a second `retry` would say that nothing was done.
    pub(crate) fn repeat(self) -> Repeat {
        match self {
            // An id, or a position of an outbox, is stored once.
            Self::CeleryPage | Self::CeleryEnds | Self::Revoke => Repeat::Again,
            Self::Push | Self::Enqueue | Self::Relay | Self::Cancel | Self::Scan | Self::Resign => {
                Repeat::Again
            }
            Self::Claim
            | Self::Admit
            | Self::Renew
            | Self::Settle
            | Self::Sweep
            | Self::Intake
            | Self::CeleryReplies
            | Self::Tick
            | Self::Reconcile
            | Self::Elect => Repeat::ByCaller,
            Self::Retry | Self::Discard | Self::Purge => Repeat::Once,
        }
    }
}

/// How a command is sent. One that is not known is sent once.
pub(crate) fn of_command(command: &Cmd, scripts: &Scripts) -> Repeat {
    let mut words = command.args_iter().filter_map(|word| match word {
        Arg::Simple(word) => Some(word),
        _ => None,
    });
    let name = words.next().unwrap_or_default();
    if name.eq_ignore_ascii_case(b"EVALSHA") {
        return words.next().and_then(|hash| scripts.step(hash)).map_or(Repeat::Once, Step::repeat);
    }
    let is_safe =
        AGAIN.iter().chain(&AGAIN_REMOVING).any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is_safe { Repeat::Again } else { Repeat::Once }
}

/// How several commands are sent together: as the one that allows least.
pub(crate) fn of_commands<'a>(commands: impl Iterator<Item = &'a Cmd>, scripts: &Scripts) -> Repeat {
    let mut all = Repeat::Again;
    for command in commands {
        match of_command(command, scripts) {
            Repeat::Again => {}
            Repeat::ByCaller => all = Repeat::ByCaller,
            Repeat::Once => return Repeat::Once,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;
    use crate::keys::QueueKeys;

    #[test]
    fn commands_are_repeated_only_when_twice_is_the_same_as_once() {
        let scripts = Scripts::default();
        let of = |name: &str| of_command(&cmd(name), &scripts);
        assert_eq!(
            (of("SMEMBERS"), of("hgetall"), of("SADD")),
            (Repeat::Again, Repeat::Again, Repeat::Again)
        );
        for name in ["RPUSH", "LPUSH", "INCR", "HINCRBY", "LPOP", "BLMOVE", "PUBLISH", "EVAL", "SOMETHING"] {
            assert_eq!(of(name), Repeat::Once, "{name}");
        }
    }

    #[test]
    fn several_are_sent_as_the_one_that_allows_least() {
        let scripts = Scripts::default();
        let of = |names: &[&str]| {
            let commands: Vec<Cmd> = names.iter().map(|name| cmd(name)).collect();
            of_commands(commands.iter(), &scripts)
        };
        assert_eq!(of(&["LLEN", "ZCARD"]), Repeat::Again);
        assert_eq!(of(&["LLEN", "RPUSH", "ZCARD"]), Repeat::Once);
    }

    #[test]
    fn a_script_is_known_by_its_hash() {
        let (scripts, keys) = (Scripts::default(), QueueKeys::new("n", "q"));
        let of = |step| {
            let mut command = cmd("EVALSHA");
            command.arg(scripts.hash(step)).arg(1).arg(keys.prefix());
            of_command(&command, &scripts)
        };
        assert_eq!(
            (of(Step::Push), of(Step::Retry), of(Step::Claim)),
            (Repeat::Again, Repeat::Once, Repeat::ByCaller)
        );
        let mut stranger = cmd("EVALSHA");
        stranger.arg("0".repeat(40)).arg(0);
        assert_eq!(of_command(&stranger, &scripts), Repeat::Once);
    }
}
