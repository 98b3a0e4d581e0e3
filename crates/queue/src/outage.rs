//! Says that something is away: once when it goes, then once in a while, and when it is back.
//!
//! Every loop that waits for Redis or Postgres has one, so that an outage of an hour is a hundred lines and not a
//! million, and none of them is the same line twice a second.

use std::time::{Duration, Instant};

/// How often an outage that goes on is said again.
const REMIND: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What one loop knows of one thing that may be away.
#[derive(Debug)]
pub struct Outage {
    what: &'static str,
    since: Option<Instant>,
    said: Option<Instant>,
    pause: Duration,
}

impl Outage {
    /// `what` is named in the log: `redis`, `postgres`.
    pub fn of(what: &'static str) -> Self {
        Self { what, since: None, said: None, pause: FIRST_PAUSE }
    }

    /// Notes a failure and waits before the next try: 50 ms at first, doubling to 1 s, half of it at random.
    pub async fn wait(&mut self, doing: &str, error: &(dyn std::error::Error + Sync)) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if self.said.is_none_or(|said| now - said >= REMIND) {
            self.said = Some(now);
            tracing::warn!(
                away_s = (now - since).as_secs(),
                error = error_chain(error),
                "{}: cannot {doing}; trying on",
                self.what
            );
        }
        self.pause().await;
    }

    /// Waits as long, for a try that may be given up: then the caller's caller says so.
    pub(crate) async fn wait_silently(&mut self, error: &(dyn std::error::Error + Sync)) {
        tracing::debug!(error = error_chain(error), "{} does not answer; trying again", self.what);
        self.pause().await;
    }

    async fn pause(&mut self) {
        let half = self.pause / 2;
        let pause = half + half.mul_f64(rand::random::<f64>());
        tokio::time::sleep(pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Notes a success.
    pub fn over(&mut self) {
        if let Some(since) = self.since.take() {
            tracing::info!(away_ms = since.elapsed().as_millis(), "{} is back", self.what);
            *self = Self::of(self.what);
        }
    }
}

/// An error and its causes in one line, each said once.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
