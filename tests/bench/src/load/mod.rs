//! A load process: some connections that each send the next request when the last one is answered (a closed loop, no
//! pipelining), as lean as it can be, since it must not be what is measured.

mod connection;
mod driver;
mod work;

use std::{
    io::stdin,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

pub(crate) use self::connection::Blocking;
use self::{
    driver::Driver,
    work::{Renewals, Replay, Work},
};
use crate::machine::cpu_seconds;

#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// The server's process, whose CPU time is taken.
    pub(crate) server: u32,
    pub(crate) connections: usize,
    /// Whether the load may keep its core busy all the time.
    pub(crate) awake: bool,
    pub(crate) task: Task,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Task {
    /// These requests over and over: for the first time unmeasured.
    Replay {
        requests: Vec<String>,
        warm_up: Duration,
        window: Duration,
    },
    /// Each of these requests once: the first tenth unmeasured.
    Once { requests: Vec<String> },
    /// Every session renewed once in a lap, each time with its newest token; the first lap unmeasured. Between laps the
    /// server's clock is moved.
    Renew {
        sessions: Vec<(String, String)>,
        laps: u32,
        clock: SocketAddr,
    },
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    /// Of the server; `None` where the machine does not tell.
    pub(crate) server_cpu: Option<f64>,
    /// Answers that were not 200 or 201.
    pub(crate) failed: u64,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// The server's CPU time for one request, in microseconds.
    pub(crate) fn cpu_micros(&self) -> Option<f64> {
        Some(self.server_cpu? * 1e6 / self.requests as f64)
    }
}

pub(crate) fn main() {
    let mut line = String::new();
    stdin().read_line(&mut line).expect("a plan");
    let plan: Plan = serde_json::from_str(&line).expect("a plan");
    let mut driver = Driver::new(plan.address, plan.connections, plan.awake);
    let outcome = match plan.task {
        Task::Replay {
            requests,
            warm_up,
            window,
        } => {
            let mut work = Replay::endless(requests, plan.connections);
            driver.run(&mut work, Some(Instant::now() + warm_up));
            measured(&mut driver, &mut work, plan.server, |driver, work| {
                driver.run(work, Some(Instant::now() + window));
            })
        }
        Task::Once { mut requests } => {
            let rest = requests.split_off(requests.len() / 10);
            driver.run(&mut Replay::once(requests), None);
            measured(
                &mut driver,
                &mut Replay::once(rest),
                plan.server,
                |driver, work| {
                    driver.run(work, None);
                },
            )
        }
        Task::Renew {
            sessions,
            laps,
            clock,
        } => {
            let mut work = Renewals::new(sessions, plan.connections, clock);
            driver.run(&mut work, None);
            measured(&mut driver, &mut work, plan.server, |driver, work| {
                for _ in 0..laps {
                    work.next_lap();
                    driver.run(work, None);
                }
            })
        }
    };
    println!("{}", serde_json::to_string(&outcome).expect("JSON"));
}

fn measured<W: Work>(
    driver: &mut Driver,
    work: &mut W,
    server: u32,
    run: impl FnOnce(&mut Driver, &mut W),
) -> Outcome {
    let (answered, began, cpu) = (driver.answered, Instant::now(), cpu_seconds(server));
    run(driver, work);
    Outcome {
        requests: driver.answered - answered,
        seconds: began.elapsed().as_secs_f64(),
        server_cpu: cpu_seconds(server).zip(cpu).map(|(after, before)| after - before),
        failed: driver.failed,
    }
}
