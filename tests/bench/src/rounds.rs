//! Measures all variants in each round, in rotating order, so that a disturbance of the machine affects all of them alike.

use std::time::Duration;

use serde::Serialize;

use crate::{
    child_process::{self, Server},
    credentials::Credentials,
    figures::{Figure, Target, median, range},
    load::{BlockingClient, LoadPlan, LoadResult, Task},
    variant::Variant,
};

/// Number of rounds, and the length and load of each measurement.
pub(crate) struct RoundSettings {
    pub(crate) count: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    pub(crate) connections: usize,
    pub(crate) pinned: bool,
}

/// A variant with its running server, its requests and the results so far.
pub(crate) struct Contender {
    pub(crate) variant: Variant,
    pub(crate) server: Server,
    requests: Vec<String>,
    pub(crate) results: Vec<LoadResult>,
}

/// A row of the table: medians over all rounds. Ratios relate to the server without authentication in the same round.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) rate_ratio: Option<f64>,
    pub(crate) rate_ratio_range: String,
    pub(crate) cpu_micros: Option<f64>,
    pub(crate) cpu_ratio: Option<f64>,
    pub(crate) cpu_ratio_range: String,
}

impl Contender {
    /// # Panics
    /// If the server rejects valid credentials or admits invalid ones.
    pub(crate) fn new(variant: Variant, server: Server, credentials: &Credentials) -> Self {
        let requests = credentials.requests(variant);
        let mut client = BlockingClient::connect(server.address);
        assert_eq!(
            client.send(&requests[0]),
            200,
            "{variant:?} rejects valid credentials"
        );
        if variant.requires_auth() {
            for request in credentials.invalid_requests(variant) {
                assert_eq!(
                    client.send(&request),
                    401,
                    "{variant:?} admits invalid credentials: {request}"
                );
            }
        }
        Self {
            variant,
            server,
            requests,
            results: Vec::new(),
        }
    }

    fn measure(&mut self, settings: &RoundSettings) {
        let plan = LoadPlan {
            address: self.server.address,
            server_process: self.server.process_id(),
            connections: settings.connections,
            busy_poll: settings.pinned,
            task: Task::Repeat {
                requests: self.requests.clone(),
                warm_up: settings.warm_up,
                window: settings.window,
            },
        };
        let result = child_process::run_load(&plan, settings.pinned);
        assert_eq!(result.failed, 0, "{:?} rejected valid requests", self.variant);
        self.results.push(result);
    }
}

pub(crate) fn measure(contenders: &mut [Contender], settings: &RoundSettings) {
    for round in 0..settings.count {
        eprint!("\rround {} of {} ", round + 1, settings.count);
        let count = contenders.len();
        for step in 0..count {
            contenders[(round + step) % count].measure(settings);
        }
    }
    eprintln!();
}

pub(crate) fn rows(contenders: &[Contender]) -> Vec<Row> {
    contenders
        .iter()
        .map(|contender| {
            let name = contender.variant.name();
            let rates = ratios(contenders, contender.variant, Variant::NoAuth, request_rate);
            let costs = ratios(contenders, contender.variant, Variant::NoAuth, server_cpu);
            Row {
                name,
                requests_per_second: median(contender.results.iter().filter_map(request_rate)),
                rate_ratio: median(rates.clone()),
                rate_ratio_range: range(rates),
                cpu_micros: median(contender.results.iter().filter_map(server_cpu)),
                cpu_ratio: median(costs.clone()),
                cpu_ratio_range: range(costs),
            }
        })
        .collect()
}

/// The figures that compare two variants.
pub(crate) fn figures(contenders: &[Contender]) -> Vec<Figure> {
    let compare = |name, variant, baseline, measure, target| {
        let ratios = ratios(contenders, variant, baseline, measure);
        Figure::new(name, median(ratios.clone()), "times")
            .target(target)
            .note(range(ratios))
    };
    #[rustfmt::skip]
    let figures = vec![
        compare("strict, server CPU, relative to a bare Redis GET", Variant::Strict, Variant::RedisGet, server_cpu, Target::AtMost(1.10)),
        compare("strict, requests/s, relative to tower-sessions", Variant::Strict, Variant::TowerSessions, request_rate, Target::AtLeast(1.05)),
        compare("strict, server CPU, relative to tower-sessions", Variant::Strict, Variant::TowerSessions, server_cpu, Target::AtMost(0.80)),
        compare("strict in axum, requests/s, relative to tower-sessions", Variant::AxumStrict, Variant::TowerSessions, request_rate, Target::AtLeast(1.05)),
        compare("strict in axum, server CPU, relative to tower-sessions", Variant::AxumStrict, Variant::TowerSessions, server_cpu, Target::AtMost(0.80)),
        compare("bounded, requests/s, relative to no auth", Variant::Bounded, Variant::NoAuth, request_rate, Target::AtLeast(0.93)),
        compare("bounded, requests/s, relative to jsonwebtoken EdDSA", Variant::Bounded, Variant::JwtEddsa, request_rate, Target::AtLeast(6.0)),
    ];
    figures
}

type Measure = fn(&LoadResult) -> Option<f64>;

fn request_rate(result: &LoadResult) -> Option<f64> {
    Some(result.requests_per_second())
}

fn server_cpu(result: &LoadResult) -> Option<f64> {
    result.cpu_micros()
}

/// The ratio of a variant to a baseline in each round.
fn ratios(contenders: &[Contender], variant: Variant, baseline: Variant, measure: Measure) -> Vec<f64> {
    let results = |variant| {
        let found = contenders.iter().find(|contender| contender.variant == variant);
        found.map_or(&[][..], |contender| &contender.results)
    };
    results(variant)
        .iter()
        .zip(results(baseline))
        .filter_map(|(result, baseline)| Some(measure(result)? / measure(baseline)?))
        .collect()
}
