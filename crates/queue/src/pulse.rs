//! Whether a worker goes on: liveness judged by progress, not by whether the process answers.
//!
//! A worker that has free slots asks for jobs at least every `poll`. One that has not asked for long, while Redis answers
//! others, is stuck, and whoever supervises it should start it again. While Redis is away, nobody is to blame.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When a worker last asked for jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }
}

impl Pulse {
    /// It has asked, or is about to.
    pub(crate) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// All its slots are taken: it has no reason to ask.
    pub(crate) fn rest(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How long it has not asked though it could have.
    pub fn silent_for(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map_or(Duration::ZERO, |at| at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_no_free_slot_is_not_silent() {
        let pulse = Pulse::default();
        pulse.beat();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(pulse.silent_for() >= Duration::from_secs(5));
        pulse.rest();
        assert_eq!(pulse.silent_for(), Duration::ZERO);
    }
}
