//! The machine: pins processes to cores, and reads CPU times.

use std::{fs, process::Command, thread};

/// The server's core, if processes are pinned.
pub(crate) const SERVER_CORE: &str = "0";
/// The core of load and Redis, if processes are pinned.
pub(crate) const LOAD_CORE: &str = "1";
/// The cores of a server that shares them with load and Redis.
pub(crate) const BOTH_CORES: &str = "0,1";

fn core_count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Whether processes can be pinned. This needs two cores and `taskset`.
pub(crate) fn can_pin() -> bool {
    core_count() >= 2
        && Command::new("taskset")
            .args(["-c", BOTH_CORES, "true"])
            .output()
            .is_ok_and(|output| output.status.success())
}

/// Pins a running process and all its threads to these cores.
pub(crate) fn pin_process(cores: &str, process: u32) {
    let output = Command::new("taskset")
        .args(["-a", "-p", "-c", cores, &process.to_string()])
        .output();
    assert!(
        output.is_ok_and(|output| output.status.success()),
        "taskset cannot pin process {process}"
    );
}

/// User and system time of a process so far, without its finished threads. `None` if `/proc` does not report it.
pub(crate) fn cpu_seconds(process: u32) -> Option<f64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    // A thread may end before its file is read.
    let nanos = threads.filter_map(|thread| {
        // `schedstat` counts nanoseconds. `stat` counts only hundredths of a second.
        let schedstat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<f64>().ok()
    });
    Some(nanos.sum::<f64>() / 1e9).filter(|seconds| *seconds > 0.0)
}

/// CPU time of all cores since boot.
pub(crate) struct CpuTime {
    total: f64,
    /// Time that other guests of the same host took.
    steal: f64,
}

impl CpuTime {
    pub(crate) fn steal_share_since(&self, before: &Self) -> f64 {
        (self.steal - before.steal) / (self.total - before.total)
    }
}

/// `None` if `/proc/stat` does not report it.
pub(crate) fn cpu_time() -> Option<CpuTime> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<f64> = stat
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .map_while(|time| time.parse().ok())
        .collect();
    Some(CpuTime {
        total: times.iter().take(8).sum(),
        steal: *times.get(7)?,
    })
}

pub(crate) fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model);
    format!("{model}, {} cores, {}", core_count(), std::env::consts::OS)
}
