//! The load process: a closed loop without pipelining. Each connection sends its next request after the last response.
//!
//! It does as little work as possible, so that the load does not limit the measurement.

mod connection;
mod driver;
mod latencies;
mod request_source;

use std::{
    io::stdin,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

pub(crate) use self::{connection::BlockingClient, latencies::Latencies};
use self::{
    driver::Driver,
    request_source::{FixedRequests, Renewals, RequestSource},
};
use crate::machine::cpu_seconds;

#[derive(Serialize, Deserialize)]
pub(crate) struct LoadPlan {
    pub(crate) address: SocketAddr,
    /// The process id of the server, to read its CPU time.
    pub(crate) server_process: u32,
    pub(crate) connections: usize,
    /// Whether the load polls for responses without sleeping. This needs a core of its own.
    pub(crate) busy_poll: bool,
    pub(crate) task: Task,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Task {
    /// Repeats these requests. The warm-up is not measured.
    Repeat {
        requests: Vec<String>,
        warm_up: Duration,
        window: Duration,
    },
    /// Sends each request once. The first tenth is not measured.
    Once { requests: Vec<String> },
    /// Renews each session once per lap with its newest token. The first lap is not measured. The server's clock is advanced
    /// between laps.
    Renew {
        sessions: Vec<(String, String)>,
        laps: u32,
        clock_control: SocketAddr,
    },
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct LoadResult {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    /// CPU seconds of the server. `None` if the system does not report them.
    pub(crate) server_cpu: Option<f64>,
    /// Responses with a status other than 200 or 201.
    pub(crate) failed: u64,
}

impl LoadResult {
    pub(crate) fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// CPU time of the server per request, in microseconds.
    pub(crate) fn cpu_micros(&self) -> Option<f64> {
        Some(self.server_cpu? * 1e6 / self.requests as f64)
    }
}

pub(crate) fn main() {
    let mut line = String::new();
    stdin().read_line(&mut line).expect("read the plan");
    let plan: LoadPlan = serde_json::from_str(&line).expect("a valid plan");
    let mut driver = Driver::new(plan.address, plan.connections, plan.busy_poll);
    let result = match plan.task {
        Task::Repeat {
            requests,
            warm_up,
            window,
        } => {
            let mut source = FixedRequests::repeat(requests, plan.connections);
            driver.run(&mut source, Some(Instant::now() + warm_up));
            measure(&mut driver, &mut source, plan.server_process, |driver, source| {
                driver.run(source, Some(Instant::now() + window));
            })
        }
        Task::Once { mut requests } => {
            let rest = requests.split_off(requests.len() / 10);
            driver.run(&mut FixedRequests::once(requests), None);
            measure(
                &mut driver,
                &mut FixedRequests::once(rest),
                plan.server_process,
                |driver, source| {
                    driver.run(source, None);
                },
            )
        }
        Task::Renew {
            sessions,
            laps,
            clock_control,
        } => {
            let mut source = Renewals::new(sessions, plan.connections, clock_control);
            driver.run(&mut source, None);
            measure(&mut driver, &mut source, plan.server_process, |driver, source| {
                for _ in 0..laps {
                    source.next_lap();
                    driver.run(source, None);
                }
            })
        }
    };
    println!("{}", serde_json::to_string(&result).expect("valid JSON"));
}

/// Runs `run` and takes the time, the server's CPU time and the number of responses.
fn measure<S: RequestSource>(
    driver: &mut Driver,
    source: &mut S,
    server_process: u32,
    run: impl FnOnce(&mut Driver, &mut S),
) -> LoadResult {
    let (responses, began, cpu) = (driver.responses, Instant::now(), cpu_seconds(server_process));
    run(driver, source);
    LoadResult {
        requests: driver.responses - responses,
        seconds: began.elapsed().as_secs_f64(),
        server_cpu: cpu_seconds(server_process)
            .zip(cpu)
            .map(|(after, before)| after - before),
        failed: driver.failed,
    }
}
