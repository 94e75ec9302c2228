//! A soak test: servers as processes behind a load balancer, agents that keep them busy, and an operator who reloads, rotates and
//! restarts. Every response is checked.
//!
//! | module | content |
//! |---|---|
//! | `files` | the files of the deployment: settings, signing keys, admin keys |
//! | `process`, `servers` | the server processes: start, signals, exit code, memory and open files |
//! | `balancer` | a TCP load balancer with health checks. It retries nothing |
//! | `connection` | one connection of a client. It retries nothing |
//! | `oracle` | rules: the responses that a request may have |
//! | `agent`, `requests` | an agent: the load |
//! | `admins` | the admin keys that the agents use |
//! | `verifying` | services that verify tokens and follow the published keys |
//! | `operator`, `broken` | reloads, key rotations, changes of admin keys, broken configurations |
//! | `restarts` | restarts of one server at a time |
//! | `tally`, `report` | counts and failures; the result as a table |

mod admins;
mod agent;
mod balancer;
mod broken;
mod connection;
mod files;
mod operator;
mod oracle;
mod process;
mod random;
mod report;
mod requests;
mod restarts;
mod servers;
mod tally;
mod verifying;

pub use self::{process::Program, report::Report};

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, interval, sleep};

use self::{
    admins::Admins,
    agent::Agent,
    balancer::Balancer,
    files::{Files, new_admin},
    operator::Operator,
    report::ProcessorTime,
    servers::Servers,
    tally::Tally,
    verifying::VerifyingService,
};
use crate::redis::TestRedis;

/// The time in which a renewal or a creation can be repeated, in seconds.
const RETRY_WINDOW: u64 = 3;

/// What a soak test does.
#[derive(Debug, Clone)]
pub struct Options {
    /// The least duration. The test ends with the key rotation that is under way then.
    pub duration: Duration,
    /// The number of servers. Every second one has bounded freshness.
    pub servers: usize,
    pub agents: usize,
    /// The lifetime of tokens, in seconds.
    pub ttl: u64,
    /// The time between two restarts. `None`: all servers run until the end.
    pub restart_interval: Option<Duration>,
    /// Hang-ups, changed admin keys and broken configurations beside the key rotations.
    pub reloads: bool,
    /// The number of key rotations after which the test may end.
    pub rotations: u64,
}

/// What all parts of a soak test share.
struct Soak {
    options: Options,
    program: Program,
    files: Files,
    admins: Admins,
    servers: Servers,
    balancer: Balancer,
    verifying: Vec<VerifyingService>,
    tally: Tally,
}

/// Runs a soak test.
///
/// # Panics
/// If the deployment cannot be started.
pub async fn run(options: Options, program: Program) -> Report {
    let redis = TestRedis::start();
    let soak = Arc::new(Soak::start(options, program, &redis.url()).await);
    let began = Instant::now();
    let processors = ProcessorTime::now();

    let agents: Vec<_> = (0..soak.options.agents)
        .map(|number| tokio::spawn(Agent::run(soak.clone(), number)))
        .collect();
    let sampling = tokio::spawn({
        let soak = soak.clone();
        async move {
            let mut ticks = interval(Duration::from_millis(500));
            loop {
                ticks.tick().await;
                soak.servers.sample();
            }
        }
    });
    let restarting = tokio::spawn(restarts::restart(soak.clone()));
    let mut operator = Operator::new(soak.clone());
    while began.elapsed() < soak.options.duration || soak.tally.changes().rotations < soak.options.rotations {
        operator.next().await;
        if soak.tally.has_failed() && began.elapsed() > 2 * soak.options.duration {
            break;
        }
    }
    let duration = began.elapsed();
    let busy = processors.busy_since();

    soak.tally.stop();
    for part in agents.into_iter().chain([restarting]) {
        part.await.expect("a part of the soak test");
    }
    sampling.abort();
    soak.verifying.iter().for_each(VerifyingService::stop);
    // The health checks of the balancer go on, so that this is an ordinary stop.
    let stops = (0..soak.options.servers).map(|number| {
        let soak = soak.clone();
        tokio::spawn(async move { soak.servers.stop(number, &soak.tally).await })
    });
    for stop in stops.collect::<Vec<_>>() {
        stop.await.expect("a stopped server");
    }
    Report::new(&soak, duration, busy)
}

impl Soak {
    async fn start(options: Options, program: Program, redis_url: &str) -> Self {
        let files = Files::create(&options, redis_url);
        let admins = Admins::new(files.first_admin.clone(), new_admin());
        let servers = Servers::new(&files);
        for number in 0..options.servers {
            servers.start(number, &program, &files).await.expect("a server");
        }
        let balancer = Balancer::start(files.addresses()).await;
        while !balancer.all_ready() {
            sleep(Duration::from_millis(10)).await;
        }
        let verifying = VerifyingService::start_all(balancer.address()).await;
        Self {
            options,
            program,
            files,
            admins,
            servers,
            balancer,
            verifying,
            tally: Tally::default(),
        }
    }
}
