//! Stores what this machine's CPU, memory, disks and network do.
//!
//! Every worker that runs the job reads the machine it runs on. Inside a container that is the container: its limits,
//! not the host's. A sample covers the time since the previous one of the same worker.

use std::time::Duration;

use dogwatch_queue::{Job, JobError, Retry, Run, secs};
use serde::{Deserialize, Serialize};

use crate::services::Services;

/// No arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorSystemResources {}

/// What was stored.
#[derive(Debug, Serialize)]
pub struct Monitored {
    host: String,
    cpu_percent: f64,
    memory_percent: f64,
    disks: usize,
}

impl Job for MonitorSystemResources {
    const NAME: &'static str = "monitor_system_resources";
    // Long enough for an outage of some minutes; ticks that come meanwhile are passed over. Each attempt measures anew.
    const RETRY: Retry = Retry::exponential(25, secs(2), secs(30));
    const TIMEOUT: Duration = secs(30);
    type Context = Services;
    type Outcome = Monitored;

    async fn run(self, cx: &Run<Services>) -> Result<Monitored, JobError> {
        let sample = cx.host.sample(cx.clock.now()).await?;
        cx.store.insert_host_sample(&sample).await?;
        Ok(Monitored {
            cpu_percent: (sample.cpu_percent * 10.0).round() / 10.0,
            memory_percent: (1000.0 * sample.memory_used_bytes as f64
                / sample.memory_total_bytes.max(1) as f64)
                .round()
                / 10.0,
            disks: sample.disks.len(),
            host: sample.host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;

    #[tokio::test]
    async fn two_at_once_both_succeed() {
        let bench = Bench::new("").await;
        let run = || MonitorSystemResources {}.run(&bench.cx);
        let (one, other) = tokio::join!(run(), run());
        assert_eq!((one.unwrap().host.as_str(), other.unwrap().host.as_str()), ("here", "here"));
    }

    #[tokio::test]
    async fn a_sample_is_stored_each_time_with_its_disks() {
        let bench = Bench::new("").await;
        for _ in 0..2 {
            let monitored = MonitorSystemResources {}.run(&bench.cx).await.unwrap();
            assert_eq!(monitored.host, "here");
            bench.clock.advance(secs(15));
        }
        assert_eq!(
            bench.database.number("SELECT count(*) FROM host_metrics WHERE memory_total_bytes > 0").await,
            2
        );
    }
}
