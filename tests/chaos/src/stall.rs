//! Notices that the machine did not run this process for a while, as on a machine with too much to do: then a lease
//! lapses without a fault of ours. A thread of its own, so that nothing in the queue can make it late.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::event::What;
use crate::ledger::{Ledger, monotonic_us};

const BEAT: Duration = Duration::from_millis(50);
/// Less is nothing to a lease.
const WORTH_TELLING: u64 = 300_000;

/// Tells of stalls for as long as the process lives.
pub(crate) fn watch_this_process(ledger: Arc<Ledger>) {
    thread::spawn(move || {
        let mut last = monotonic_us();
        loop {
            thread::park_timeout(BEAT);
            let now = monotonic_us();
            if now - last > WORTH_TELLING {
                ledger.write(What::Stalled { us: now - last });
            }
            last = now;
        }
    });
}
