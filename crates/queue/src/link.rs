//! A connection to Redis that replaces itself.
//!
//! A [`Link`] connects at the first command and throws its connection away when a command shows that it is of
//! no more use: it was cut, it does not answer within the time limit (a black hole looks like that), or the
//! server has become a replica. The next command connects anew, which with Sentinels asks them which server
//! is the master now.
//!
//! Servers, firewalls and load balancers cut idle connections, which shows at the next command only. So a
//! command is sent again on a new connection where twice is the same as once, and otherwise only after a PING
//! (see [`Repeat`]). Whether to try again when Redis is unavailable is the caller's decision.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};

use crate::repeat::{self, Repeat};
use crate::script::Scripts;
use crate::target::{Connection, RESPONSE_TIMEOUT, Target};

/// How often a command is sent again, and until when: one that got no answer within its time limit is sent
/// once more.
const MOST_REPEATS: u32 = 2;
const REPEAT_WITHIN: Duration = Duration::from_secs(6);

/// A shared connection that replaces itself. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link {
    target: Target,
    /// They say which commands may be sent again.
    scripts: Scripts,
    /// The connection and its number.
    current: Arc<Mutex<(u64, Option<Connection>)>>,
    /// Held while connecting, so that a hundred callers make one connection.
    connecting: Arc<tokio::sync::Mutex<()>>,
}

impl Link {
    pub(crate) fn new(target: Target, scripts: Scripts) -> Self {
        Self { target, scripts, current: Arc::default(), connecting: Arc::default() }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Option<Connection>)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<(u64, Connection)> {
        let current = self.lock();
        Some((current.0, current.1.clone()?))
    }

    async fn connected(&self) -> RedisResult<(u64, Connection)> {
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let _turn = self.connecting.lock().await;
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let connection = self.target.connect(Duration::ZERO).await?;
        let mut current = self.lock();
        if current.0 == 0 {
            tokio::spawn(keep_a_timer(Arc::downgrade(&self.current)));
        }
        current.0 += 1;
        current.1 = Some(connection.clone());
        Ok((current.0, connection))
    }

    /// Throws the connection away when the error says that it is of no more use.
    fn observe<T>(&self, number: u64, answer: RedisResult<T>) -> RedisResult<T> {
        if answer.as_ref().is_err_and(is_useless) {
            let mut current = self.lock();
            if current.0 == number {
                current.1 = None;
            }
        }
        answer
    }
}

/// Keeps a timer armed that is earlier than the time limit of any command. Where a command's limit were the earliest of
/// all timers, each command would wake the runtime's driver once more, only to be told of it.
async fn keep_a_timer(current: Weak<Mutex<(u64, Option<Connection>)>>) {
    while current.strong_count() > 0 {
        tokio::time::sleep(RESPONSE_TIMEOUT / 5).await;
    }
}

/// Whether a connection that gave this error is of no more use.
fn is_useless(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
        // A new connection logs in again.
        || error.code() == Some("NOAUTH")
}

/// What is sent.
#[derive(Clone, Copy)]
enum Request<'a> {
    Command(&'a Cmd),
    Commands(&'a Pipeline, usize, usize),
}

impl Request<'_> {
    fn repeat(self, scripts: &Scripts) -> Repeat {
        match self {
            Self::Command(command) => repeat::of_command(command, scripts),
            Self::Commands(pipeline, ..) => repeat::of_commands(pipeline.cmd_iter(), scripts),
        }
    }

    async fn send(self, connection: &mut Connection) -> RedisResult<Vec<Value>> {
        match self {
            Self::Command(command) => {
                let answer = connection.req_packed_command(command).await?;
                // In a script, an error of the server comes as a value of its own.
                Ok(vec![answer.extract_error()?])
            }
            Self::Commands(pipeline, offset, count) => {
                connection.req_packed_commands(pipeline, offset, count).await
            }
        }
    }
}

impl Link {
    async fn deliver(&self, request: Request<'_>) -> RedisResult<Vec<Value>> {
        let (repeat, began, mut tries) = (request.repeat(&self.scripts), Instant::now(), 0);
        loop {
            let (number, mut connection) = self.connected().await?;
            let may_repeat = tries < MOST_REPEATS && began.elapsed() < REPEAT_WITHIN;
            tries += 1;
            if repeat == Repeat::Once {
                let pong = redis::cmd("PING").query_async::<()>(&mut connection).await;
                match self.observe(number, pong) {
                    Err(error) if may_repeat && is_useless(&error) => continue,
                    pong => pong?,
                }
            }
            let answer = request.send(&mut connection).await;
            match self.observe(number, answer) {
                Err(error) if may_repeat && repeat == Repeat::Again && is_useless(&error) => {
                    tracing::debug!(%error, "a connection to Redis was lost; sending its command again");
                }
                answer => return answer,
            }
        }
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut answers = self.deliver(Request::Command(cmd)).await?;
            Ok(answers.pop().unwrap_or(Value::Nil))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.deliver(Request::Commands(pipeline, offset, count)))
    }

    fn get_db(&self) -> i64 {
        self.current().map_or(0, |(_, connection)| connection.get_db())
    }
}
