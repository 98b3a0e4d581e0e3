//! The CPU limits of the control group that this process is in; version 2, else version 1.
//!
//! See <https://docs.kernel.org/admin-guide/cgroup-v2.html>. Limits of all ancestors hold; the least counts. On other
//! systems than Linux there is none.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROOT: &str = "/sys/fs/cgroup";

/// Cores that may be used, if they are limited.
pub(crate) fn cpu_quota() -> Option<f64> {
    let own = own_folder()?;
    let v2 = own.ancestors().take_while(|folder| folder.starts_with(ROOT));
    let limits = v2.filter_map(|folder| quota_v2(&read_to_string(folder.join("cpu.max")).ok()?));
    limits.min_by(f64::total_cmp).or_else(quota_v1)
}

/// CPU time that the control group has used.
pub(crate) fn cpu_time() -> Option<Duration> {
    let v2 = || {
        let stat = read_to_string(own_folder()?.join("cpu.stat")).ok()?;
        let micros = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()?;
        Some(Duration::from_micros(micros))
    };
    let v1 = || {
        let nanos =
            read_to_string(Path::new(ROOT).join("cpuacct/cpuacct.usage")).ok()?.trim().parse().ok()?;
        Some(Duration::from_nanos(nanos))
    };
    v2().or_else(v1)
}

/// `0::/path` in /proc/self/cgroup. In a container with a namespace of its own that is `/`.
fn own_folder() -> Option<PathBuf> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new(ROOT).join(path);
    // A path of the host that is not mounted here: the mounted root is ours.
    Some(if folder.exists() { folder } else { PathBuf::from(ROOT) })
}

/// `max 100000`, or microseconds per period: `150000 100000` are one and a half cores.
fn quota_v2(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cores(quota.parse().ok()?, period.parse().ok()?)
}

fn quota_v1() -> Option<f64> {
    let read = |name: &str| read_to_string(Path::new(ROOT).join("cpu").join(name)).ok()?.trim().parse().ok();
    cores(read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?)
}

fn cores(quota_us: f64, period_us: f64) -> Option<f64> {
    (quota_us > 0.0 && period_us > 0.0).then_some(quota_us / period_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_told_in_cores() {
        assert_eq!(quota_v2("150000 100000\n"), Some(1.5));
        assert_eq!(quota_v2("max 100000\n"), None);
        assert_eq!(cores(-1.0, 100_000.0), None);
    }
}
