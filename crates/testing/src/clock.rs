//! A clock that stands still until it is moved.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// A clock to move; its clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// Stands at this time: `2026-03-01T12:00:00Z`, or with any other offset.
    pub fn at(time: &str) -> Self {
        let time: DateTime<Utc> = time.parse().expect("a time as of RFC 3339");
        Self(Arc::new(Mutex::new(time)))
    }

    /// What it shows.
    pub fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// Moves it to any time, also back.
    pub fn set(&self, time: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// For code that takes the time as a function.
    pub fn reader(&self) -> impl Fn() -> DateTime<Utc> + Clone + Send + Sync + 'static {
        let clock = self.clone();
        move || clock.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_and_readers_move_with_it() {
        let clock = ManualClock::at("2026-03-01T13:00:00+01:00");
        let (clone, reader) = (clock.clone(), clock.reader());
        clock.advance(Duration::from_secs(90));
        assert_eq!(reader().to_rfc3339(), "2026-03-01T12:01:30+00:00");
        clone.set(clock.now() - Duration::from_secs(90));
        assert_eq!(reader().to_rfc3339(), "2026-03-01T12:00:00+00:00");
    }
}
