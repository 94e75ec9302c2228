//! The machine: its cores, which process runs on which, and the CPU time that a process took.

use std::{fs, process::Command, thread};

/// Where the server runs when there are two cores or more.
pub(crate) const SERVER_CORE: &str = "0";
/// Where load and Redis run then.
pub(crate) const LOAD_CORE: &str = "1";
/// Where the servers run that share both cores with load and Redis.
pub(crate) const BOTH_CORES: &str = "0,1";

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Whether processes can be pinned: two cores, and a `taskset` to do it.
pub(crate) fn can_pin() -> bool {
    cores() >= 2
        && Command::new("taskset")
            .args(["-c", BOTH_CORES, "true"])
            .output()
            .is_ok_and(|output| output.status.success())
}

/// Moves a running process, with all its threads.
pub(crate) fn move_to(cores: &str, process: u32) {
    let moved = Command::new("taskset")
        .args(["-a", "-p", "-c", cores, &process.to_string()])
        .output();
    assert!(
        moved.is_ok_and(|output| output.status.success()),
        "taskset moves process {process}"
    );
}

/// User and system time of a process so far, that of its threads which have ended not counted; `None` where Linux does not tell.
pub(crate) fn cpu_seconds(process: u32) -> Option<f64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    // A thread may end before it is read.
    let nanos = threads.filter_map(|thread| {
        // In nanoseconds: `stat` counts hundredths of a second.
        let schedstat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<f64>().ok()
    });
    Some(nanos.sum::<f64>() / 1e9).filter(|seconds| *seconds > 0.0)
}

/// Time of all cores so far, and how much of it other guests of the same host took away; `None` where nobody tells.
pub(crate) fn stolen_time() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<f64> = stat
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .map_while(|time| time.parse().ok())
        .collect();
    Some((times.iter().take(8).sum(), *times.get(7)?))
}

pub(crate) fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model);
    format!("{model}, {} cores, {}", cores(), std::env::consts::OS)
}
