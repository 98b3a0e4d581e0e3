//! What tests need of the world: a database of their own, a Redis, an HTTP receiver. All of it real.
//!
//! `make test` starts one pair of servers and names it in `DOGWATCH_TEST_POSTGRES_URL` and `DOGWATCH_TEST_REDIS_URL`.
//! Without them each test process starts a pair of its own. Servers never outlive the process that has started them,
//! not even when it is killed: a watchdog, a shell in a process group of its own, reads from a pipe that closes with
//! the process, and then ends them and removes their folders.
//! Tests never share state: each has a database cloned from a template, and a namespace in Redis or an instance.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot be set up has failed"
)]

mod clock;
mod database;
mod folder;
mod http_peer;
mod packages;
mod redis;
mod servers;
mod smtp_peer;

use std::time::{Duration, Instant};

pub use self::clock::ManualClock;
pub use self::database::TestDatabase;
pub use self::http_peer::{HttpPeer, Request};
pub use self::packages::{install, made_once, python_with};
pub use self::redis::{PrivateRedis, TestRedis};
pub use self::servers::{POSTGRES_URL, REDIS_URL, Servers};
pub use self::smtp_peer::{Mail, SmtpFault, SmtpPeer};

/// Waits until the condition holds.
///
/// # Panics
/// When it does not within `limit`; the message says what was waited for.
pub async fn eventually(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < limit, "after {limit:?} still not: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A name that no other test has.
pub fn unique_name(prefix: &str) -> String {
    format!("{prefix}_{:016x}", rand::random::<u64>())
}

/// A port of loopback that nobody uses just now. It is none of those that the system gives to outgoing connections, of
/// which one could take it before the test does.
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
