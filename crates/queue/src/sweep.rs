//! Removes ended jobs that were kept long enough, so that the history is bounded by age and by number.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::script::Step;
use crate::settings::{RECENT, Settings};

const EVERY: Duration = Duration::from_secs(10);
/// Removed in one step, of succeeded and of dead jobs each.
const BATCH: u64 = 500;

/// Sweeps a queue until `end`. Every worker does; to do it twice is harmless.
pub(crate) async fn run(client: Client, queue: Arc<str>, settings: Settings, end: CancellationToken) {
    let mut outage = Outage::of("redis");
    let mut turn = tokio::time::interval(EVERY);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while end.run_until_cancelled(turn.tick()).await.is_some() {
        match sweep(&client, &queue, &settings).await {
            Ok(removed) => {
                outage.over();
                if removed >= BATCH {
                    turn.reset_immediately();
                }
            }
            Err(error) => outage.wait("remove old jobs", &error).await,
        }
    }
}

async fn sweep(client: &Client, queue: &str, settings: &Settings) -> Result<u64, QueueError> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let keys = client.queue(queue);
    client
        .step(Step::Sweep, &keys)
        .arg(ms(settings.keep_succeeded))
        .arg(settings.keep_succeeded_count)
        .arg(ms(settings.keep_dead))
        .arg(settings.keep_dead_count)
        .arg(BATCH)
        .arg(ms(RECENT))
        .invoke_async(&mut client.connection())
        .await
        .map_err(QueueError::redis("remove old jobs"))
}
