//! Applies this worker's limits to jobs that wait already.
//!
//! What a limit allows is stored in Redis while jobs wait under it, so that a script can call them. A worker that starts
//! compares that with its settings: a limit that was changed holds for them from now on, and jobs under one that was
//! removed are called. Limits of jobs that this worker does not know are those of another program.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::registry::Catalog;
use crate::settings::{Limit, Settings};

/// A limit's name and what is stored of it.
type Stored = (Vec<u8>, Vec<u8>);

/// Does so once for a queue, as soon as Redis answers.
pub(crate) async fn apply(
    client: Client,
    queue: Arc<str>,
    settings: Settings,
    catalog: Catalog,
    end: CancellationToken,
) {
    let mut outage = Outage::of("redis");
    let work = async {
        while let Err(error) = apply_once(&client, &queue, &settings, &catalog).await {
            outage.wait("apply limits to jobs that wait", &error).await;
        }
        outage.over();
    };
    end.run_until_cancelled(work).await;
}

async fn apply_once(
    client: &Client,
    queue: &str,
    settings: &Settings,
    catalog: &Catalog,
) -> Result<(), QueueError> {
    let failed = || QueueError::redis("apply limits to jobs that wait");
    let keys = client.queue(queue);
    let (limits, alarms) = (keys.family("limits"), keys.family("alarms"));
    let mut connection = client.connection();
    let mut cursor = 0_u64;
    loop {
        let (next, page): (u64, Vec<Stored>) = redis::cmd("HSCAN")
            .arg(&limits)
            .arg(cursor)
            .query_async(&mut connection)
            .await
            .map_err(failed())?;
        for (name, stored) in page {
            let text = String::from_utf8_lossy(&name);
            let job = text.split_once(':').map_or(&*text, |(job, _)| job);
            let wanted = settings.limits.get(job).map_or_else(Limit::stored_none, Limit::stored);
            if !catalog.contains(job) || wanted.as_bytes() == stored {
                continue;
            }
            // The alarm calls those that may begin now.
            redis::pipe()
                .atomic()
                .hset(&limits, &name, &wanted)
                .ignore()
                .zadd(&alarms, &name, 0)
                .ignore()
                .query_async::<()>(&mut connection)
                .await
                .map_err(failed())?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
