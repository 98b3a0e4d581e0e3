//! The time of Postgres, which all processes share: a machine whose clock is wrong judges, schedules and dates nothing by it.
//!
//! It is read every few seconds and carried on by this machine's monotonic clock. Until it was read once, the clock of this
//! machine counts.

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_queue::{Clock, error_chain};
use dogwatch_runtime::duration;
use dogwatch_store::Store;

const READ_EVERY: Duration = Duration::from_secs(10);
/// A clock that differs by more is not kept by NTP.
const MOST: TimeDelta = TimeDelta::seconds(2);

/// The time of Postgres at an instant; absent: not known yet.
type Reading = RwLock<Option<(DateTime<Utc>, Instant)>>;

/// Starts to follow the clock of Postgres, until the last handle is gone. Has to be called inside a Tokio runtime.
pub(crate) fn start(store: &Store) -> Clock {
    let (system, reading) = (Clock::system(), Arc::new(Reading::default()));
    tokio::spawn(follow(store.clone(), Arc::downgrade(&reading)));
    Clock::from_fn(move || {
        let read = *reading.read().unwrap_or_else(PoisonError::into_inner);
        match read {
            Some((time, at)) => time + at.elapsed(),
            None => system.now(),
        }
    })
}

async fn follow(store: Store, reading: Weak<Reading>) {
    let system = Clock::system();
    let mut is_off = false;
    loop {
        let (ours, at) = (system.now(), Instant::now());
        let read = store.clock_skew(ours).await;
        let Some(reading) = reading.upgrade() else { return };
        match read {
            Ok(skew) => {
                *reading.write().unwrap_or_else(PoisonError::into_inner) = Some((ours + skew, at));
                if (skew.abs() > MOST) != is_off {
                    is_off = !is_off;
                    log(skew, is_off);
                }
            }
            Err(error) => {
                tracing::debug!(error = error_chain(&error), "the clock of Postgres cannot be read");
            }
        }
        drop(reading);
        tokio::time::sleep(READ_EVERY).await;
    }
}

fn log(skew: TimeDelta, is_off: bool) {
    let by = duration::format_rounded(skew.abs());
    if is_off {
        tracing::warn!(
            "the clock of this machine differs from that of Postgres by {by}; the time of Postgres is used. Let both \
             machines keep their time by NTP"
        );
    } else {
        tracing::info!("the clock of this machine is that of Postgres again");
    }
}
