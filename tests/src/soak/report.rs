//! The result of a soak test as a table.

use std::{fmt, fs, time::Duration};

use super::{
    Soak,
    process::Sample,
    servers::Run,
    tally::{Changes, Failures},
};

/// A process that lived for less has not reached its normal size.
const LEAST_LIFE: Duration = Duration::from_secs(60);
/// The limit of the growth of a process in the second half of its life: this share of its size, and this much.
const GROWTH_PERCENT: u64 = 5;
const GROWTH_KIB: u64 = 4 * 1_024;
/// Files that are not connections of agents: the log, Redis, health checks, the runtime.
const OTHER_FILES: usize = 64;
/// Each agent has this number of connections.
const CONNECTIONS: usize = 2;

/// The result of a soak test. `Display` makes a table of it.
pub struct Report {
    duration: Duration,
    /// The share of the machine's processor time that was used.
    busy: f64,
    requests: Vec<(&'static str, u64)>,
    failures: Failures,
    changes: Changes,
    servers: Vec<ServerReport>,
}

/// The processes of one server.
struct ServerReport {
    name: String,
    runs: usize,
    /// The process that lived longest, at 10 %, 50 % and 100 % of its life.
    longest: Option<[Sample; 3]>,
    highest_rss_kib: u64,
}

impl Report {
    pub(super) fn new(soak: &Soak, duration: Duration, busy: f64) -> Self {
        let agents = soak.options.agents;
        let ended = soak.servers.ended();
        let servers = soak.files.servers().iter().enumerate().map(|(number, server)| {
            let freshness = if server.bounded { "bounded" } else { "strict" };
            let runs: Vec<_> = ended.iter().filter(|run| run.server == number).collect();
            ServerReport::new(format!("server {number}, {freshness}"), &runs)
        });
        let servers: Vec<_> = servers.collect();
        for refused in soak.balancer.refused() {
            soak.tally.fail("refused connection", refused);
        }
        for server in &servers {
            server.check(agents, |kind, text| soak.tally.fail(kind, text));
        }
        for server in soak.files.servers() {
            let log = fs::read_to_string(&server.log).unwrap_or_default();
            for line in log.lines().filter(|line| line.contains("panicked")) {
                soak.tally.fail("panic of a server", line.to_owned());
            }
        }
        Self {
            duration,
            busy,
            requests: soak.tally.requests().into_iter().collect(),
            failures: soak.tally.failures(),
            changes: soak.tally.changes(),
            servers,
        }
    }

    /// True if there was no failure.
    pub fn is_good(&self) -> bool {
        self.failures.counts.is_empty()
    }

    /// The number of requests with a response or a failure.
    pub fn requests(&self) -> u64 {
        self.requests.iter().map(|(_, count)| count).sum()
    }

    /// Complete rotations of the signing key.
    pub const fn rotations(&self) -> u64 {
        self.changes.rotations
    }

    /// Restarts of a server.
    pub const fn restarts(&self) -> u64 {
        self.changes.restarts
    }
}

impl ServerReport {
    fn new(name: String, runs: &[&Run]) -> Self {
        let longest = runs.iter().max_by_key(|run| run.life()).and_then(|run| {
            let last = *run.samples.last()?;
            let at = |percent: u32| {
                let time = last.at * percent / 100;
                run.samples.iter().find(|sample| sample.at >= time).copied()
            };
            Some([at(10)?, at(50)?, last])
        });
        let all = runs.iter().flat_map(|run| &run.samples);
        Self {
            name,
            runs: runs.len(),
            longest,
            highest_rss_kib: all.map(|sample| sample.rss_kib).max().unwrap_or(0),
        }
    }

    fn check(&self, agents: usize, fail: impl Fn(&'static str, String)) {
        let name = &self.name;
        let Some([_, middle, last]) = self.longest else {
            return fail("measurement", format!("{name}: no process was measured"));
        };
        let allowed = middle.rss_kib + middle.rss_kib * GROWTH_PERCENT / 100 + GROWTH_KIB;
        if last.at >= LEAST_LIFE && last.rss_kib > allowed {
            let text = format!("{name}: {} KiB, then {} KiB", middle.rss_kib, last.rss_kib);
            fail("growth of memory", text);
        }
        let allowed = agents * CONNECTIONS + OTHER_FILES;
        if last.open_files > allowed {
            fail(
                "open files",
                format!("{name}: {}, more than {allowed}", last.open_files),
            );
        }
    }
}

impl Run {
    fn life(&self) -> Duration {
        self.samples.last().map_or(Duration::ZERO, |sample| sample.at)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration.as_secs_f64();
        let per_second = self.requests() as f64 / seconds;
        writeln!(f, "duration                        {seconds:>10.1} s")?;
        writeln!(f, "processor time in use           {:>10.0} %", self.busy * 100.0)?;
        writeln!(
            f,
            "requests                        {:>10} ({per_second:.0}/s)",
            self.requests()
        )?;
        for (kind, count) in &self.requests {
            writeln!(f, "  {kind:<30}{count:>10}")?;
        }
        let changes = &self.changes;
        writeln!(f, "restarts of a server            {:>10}", changes.restarts)?;
        writeln!(f, "rotations of the signing key    {:>10}", changes.rotations)?;
        writeln!(f, "changes of admin keys           {:>10}", changes.admin_keys)?;
        writeln!(f, "broken configurations           {:>10}", changes.broken)?;
        writeln!(f, "SIGHUP to all servers           {:>10}", changes.hang_ups)?;
        let slowest = changes.slowest_reload.as_secs_f64();
        writeln!(f, "slowest reload of all servers   {slowest:>10.1} s")?;
        writeln!(f)?;
        writeln!(
            f,
            "The longest life of a process of each server, at 10 %, 50 % and 100 %:"
        )?;
        writeln!(
            f,
            "{:<20} {:>5} {:>8}   {:<26} {:<15} highest",
            "", "runs", "life", "VmRSS in KiB", "open files"
        )?;
        for server in &self.servers {
            let Some([first, middle, last]) = server.longest else {
                continue;
            };
            let rss = format!("{:>7} {:>7} {:>7}", first.rss_kib, middle.rss_kib, last.rss_kib);
            let files = format!(
                "{:>4} {:>4} {:>4}",
                first.open_files, middle.open_files, last.open_files
            );
            let (name, runs, life) = (&server.name, server.runs, last.at.as_secs_f64());
            let highest = server.highest_rss_kib;
            writeln!(
                f,
                "{name:<20} {runs:>5} {life:>6.1} s   {rss:<26} {files:<15} {highest:>7}"
            )?;
        }
        writeln!(f)?;
        for kind in [
            "wrong answer",
            "refused connection",
            "request without a response",
            "request not served",
        ] {
            let count = self.failures.counts.get(kind).copied().unwrap_or(0);
            writeln!(f, "{kind:<32}{count:>10}")?;
        }
        for (kind, count) in &self.failures.counts {
            writeln!(f, "FAILED: {kind}: {count}")?;
        }
        self.failures
            .texts
            .iter()
            .try_for_each(|text| writeln!(f, "  {text}"))
    }
}

/// The processor time of the machine, in ticks.
pub(super) struct ProcessorTime {
    all: u64,
    idle: u64,
}

impl ProcessorTime {
    /// Since the start of the machine. Zero where `/proc` does not exist.
    pub(super) fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        // The fourth and fifth numbers are the idle time and the time that waits for disks.
        Self {
            all: ticks.iter().take(8).sum(),
            idle: ticks.iter().skip(3).take(2).sum(),
        }
    }

    /// The share of the time since then that was used.
    pub(super) fn busy_since(&self) -> f64 {
        let now = Self::now();
        let (all, idle) = (now.all - self.all, now.idle - self.idle);
        1.0 - idle as f64 / all.max(1) as f64
    }
}
