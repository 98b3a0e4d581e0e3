//! Reads this machine: CPU, load, memory, swap, disks, network.
//!
//! Inside a container, CPU and memory are those of its cgroup: use against the quota, memory against the limit. The
//! host's figures would say that all is well until the container is killed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dogwatch_store::{DiskSample, HostSample};
use sysinfo::{Disks, Networks, System};
use tokio::sync::Semaphore;

use crate::cgroup;

/// How long a reading waits for an earlier one: less than the time limit of its job, so that the error names the cause.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first sample has none before it: it measures this long.
const FIRST_INTERVAL: Duration = Duration::from_millis(500);
/// File systems that hold no data of their own.
const PSEUDO: [&str; 9] =
    ["tmpfs", "devtmpfs", "overlay", "squashfs", "ramfs", "proc", "sysfs", "efivarfs", "fuse.lxcfs"];

/// Takes samples. Cheap to clone; clones share the previous sample.
#[derive(Clone)]
pub struct HostSampler {
    host: String,
    state: Arc<Mutex<Option<State>>>,
    /// A reading that hangs keeps its permit.
    one_at_a_time: Arc<Semaphore>,
    /// How long a reading waits for an earlier one.
    patience: Duration,
}

struct State {
    system: System,
    networks: Networks,
    cpu_time: Option<Duration>,
    at: Instant,
}

/// The machine could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} of this machine: {reason}")]
pub struct SampleError {
    what: &'static str,
    reason: String,
}

/// The name of this machine, as samples carry it.
pub fn host_name() -> String {
    System::host_name().unwrap_or_else(|_| "unknown-host".to_owned())
}

impl HostSampler {
    /// Samples carry this name.
    pub fn new(host: String) -> Self {
        let one_at_a_time = Arc::new(Semaphore::new(1));
        Self { host, state: Arc::default(), one_at_a_time, patience: PATIENCE }
    }

    /// Measures since the previous sample, or for half a second if there is none.
    pub async fn sample(&self, now: DateTime<Utc>) -> Result<HostSample, SampleError> {
        // A disk that does not answer holds a thread; it must not hold one more at every turn.
        let turn = tokio::time::timeout(self.patience, self.one_at_a_time.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let reason = format!("an earlier reading has not ended after {:?}", self.patience);
            return Err(wrong("the disks", &reason));
        };
        let previous = self.state.lock().unwrap_or_else(PoisonError::into_inner).take();
        let previous = match previous {
            Some(state) if state.at.elapsed() >= sysinfo::MINIMUM_CPU_UPDATE_INTERVAL => state,
            _ => {
                let state = State::begin()?;
                tokio::time::sleep(FIRST_INTERVAL).await;
                state
            }
        };
        let host = self.host.clone();
        // Reading a disk can block, on a network file system for long.
        let read = tokio::task::spawn_blocking(move || {
            let measured = previous.measure(host, now);
            drop(turn);
            measured
        });
        let (sample, state) = read.await.map_err(|error| wrong("anything", &error))??;
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        Ok(sample)
    }
}

fn wrong(what: &'static str, reason: &impl ToString) -> SampleError {
    SampleError { what, reason: reason.to_string() }
}

impl State {
    fn begin() -> Result<Self, SampleError> {
        let mut system = System::new().map_err(|error| wrong("the system", &format!("{error:?}")))?;
        system.refresh_cpu_usage();
        let networks = Networks::new_with_refreshed_list()
            .map_err(|error| wrong("the network", &format!("{error:?}")))?;
        Ok(Self { system, networks, cpu_time: cgroup::cpu_time(), at: Instant::now() })
    }

    fn measure(mut self, host: String, now: DateTime<Utc>) -> Result<(HostSample, Self), SampleError> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        let seconds = self.at.elapsed().as_secs_f64();
        self.at = Instant::now();

        let cores = self.system.cpus().len() as f64;
        let (cpu_count, cpu_percent) = self.cpu(cores, seconds);
        let load = System::load_average().map_err(|error| wrong("the load", &format!("{error:?}")))?;
        let (memory_used, memory_total) = self.memory();
        let bytes = self.networks.values().fold((0, 0), |(received, sent), network| {
            (received + network.received(), sent + network.transmitted())
        });
        let sample = HostSample {
            host,
            sampled_at: now,
            cpu_percent,
            cpu_count,
            load1: load.one,
            load5: load.five,
            load15: load.fifteen,
            memory_used_bytes: signed(memory_used),
            memory_total_bytes: signed(memory_total),
            swap_used_bytes: signed(self.system.used_swap()),
            swap_total_bytes: signed(self.system.total_swap()),
            network_received_bytes_per_second: Some(bytes.0 as f64 / seconds),
            network_sent_bytes_per_second: Some(bytes.1 as f64 / seconds),
            disks: disks()?,
        };
        Ok((sample, self))
    }

    /// Cores that may be used, and how much of them was, in percent.
    fn cpu(&mut self, cores: f64, seconds: f64) -> (f64, f64) {
        let now = cgroup::cpu_time();
        let before = std::mem::replace(&mut self.cpu_time, now);
        if let (Some(quota), Some(before), Some(now)) = (cgroup::cpu_quota(), before, now)
            && quota < cores
        {
            let used = now.saturating_sub(before).as_secs_f64();
            return (quota, (100.0 * used / seconds / quota).clamp(0.0, 100.0));
        }
        (cores, f64::from(self.system.global_cpu_usage()).clamp(0.0, 100.0))
    }

    /// Used and total bytes. Used is what cannot be given to someone else: caches are not counted.
    fn memory(&self) -> (u64, u64) {
        let total = self.system.total_memory();
        match self.system.cgroup_limits() {
            Some(limits) if limits.total_memory > 0 && limits.total_memory < total => {
                (limits.total_memory.saturating_sub(limits.free_memory), limits.total_memory)
            }
            _ => (total.saturating_sub(self.system.available_memory()), total),
        }
    }
}

/// Every real disk once, however often it is mounted: the mount with the shortest path.
fn disks() -> Result<Vec<DiskSample>, SampleError> {
    let disks =
        Disks::new_with_refreshed_list().map_err(|error| wrong("the disks", &format!("{error:?}")))?;
    let mut by_device: BTreeMap<String, DiskSample> = BTreeMap::new();
    for disk in &disks {
        let file_system = disk.file_system().to_string_lossy().into_owned();
        if disk.total_space() == 0 || PSEUDO.contains(&file_system.as_str()) {
            continue;
        }
        let sample = DiskSample {
            mount: disk.mount_point().to_string_lossy().into_owned(),
            file_system,
            used_bytes: signed(disk.total_space().saturating_sub(disk.available_space())),
            total_bytes: signed(disk.total_space()),
        };
        let device = disk.name().to_string_lossy().into_owned();
        let shorter = by_device.get(&device).is_none_or(|known| sample.mount.len() < known.mount.len());
        if shorter {
            by_device.insert(device, sample);
        }
    }
    Ok(by_device.into_values().collect())
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readings_at_the_same_time_wait_for_each_other() {
        let sampler = HostSampler::new("here".to_owned());
        let now = "2026-05-01T00:00:00Z".parse().unwrap();
        let all = tokio::join!(sampler.sample(now), sampler.sample(now), sampler.sample(now));
        for sample in [all.0, all.1, all.2] {
            assert!(sample.unwrap().memory_total_bytes > 0);
        }
    }

    #[tokio::test]
    async fn a_reading_behind_one_that_hangs_ends_with_an_error_that_names_it() {
        let patience = Duration::from_millis(20);
        let sampler = HostSampler { patience, ..HostSampler::new("here".to_owned()) };
        let _hangs = sampler.one_at_a_time.clone().acquire_owned().await.unwrap();
        let error = sampler.sample("2026-05-01T00:00:00Z".parse().unwrap()).await.unwrap_err();
        let told = "cannot read the disks of this machine: an earlier reading has not ended after 20ms";
        assert_eq!(error.to_string(), told);
    }

    #[tokio::test]
    async fn a_sample_of_this_machine_is_plausible_and_a_second_follows_it() {
        let sampler = HostSampler::new("here".to_owned());
        let now = "2026-05-01T00:00:00Z".parse().unwrap();
        for _ in 0..2 {
            let sample = sampler.sample(now).await.unwrap();
            assert!((0.0..=100.0).contains(&sample.cpu_percent), "{sample:?}");
            assert!(sample.cpu_count > 0.0 && sample.memory_total_bytes > 0);
            assert!(sample.memory_used_bytes <= sample.memory_total_bytes);
            assert!(sample.disks.iter().all(|disk| disk.used_bytes <= disk.total_bytes));
        }
    }
}
