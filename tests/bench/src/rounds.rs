//! The variants side by side: in each round every one of them, in an order that rotates, so that what disturbs the machine
//! disturbs all of them.

use std::time::Duration;

use serde::Serialize;

use crate::{
    child::{self, Server},
    credentials::Credentials,
    figures::{Figure, Target, median, spread},
    load::{Blocking, Outcome, Plan, Task},
    variant::Variant,
};

/// What one round costs.
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    pub(crate) connections: usize,
    pub(crate) pinned: bool,
}

pub(crate) struct Contender {
    pub(crate) variant: Variant,
    pub(crate) server: Server,
    requests: Vec<String>,
    outcomes: Vec<Outcome>,
}

/// A row of the table: medians of all rounds, and medians of each round's ratio to the server without authentication.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) rate_ratio: Option<f64>,
    pub(crate) rate_ratio_spread: String,
    pub(crate) cpu_micros: Option<f64>,
    pub(crate) cpu_ratio: Option<f64>,
    pub(crate) cpu_ratio_spread: String,
}

impl Contender {
    /// # Panics
    /// When the server lets the wrong ones pass, or not the right ones.
    pub(crate) fn new(variant: Variant, server: Server, credentials: &Credentials) -> Self {
        let requests = credentials.requests(variant);
        let mut client = Blocking::open(server.address);
        assert_eq!(client.ask(&requests[0]), 200, "{variant:?}");
        if variant.checks() {
            for bad in credentials.bad_requests(variant) {
                assert_eq!(client.ask(&bad), 401, "{variant:?} checks nothing: {bad}");
            }
        }
        Self {
            variant,
            server,
            requests,
            outcomes: Vec::new(),
        }
    }

    fn measure(&mut self, extent: &Extent) {
        let plan = Plan {
            address: self.server.address,
            server: self.server.id(),
            connections: extent.connections,
            awake: extent.pinned,
            task: Task::Replay {
                requests: self.requests.clone(),
                warm_up: extent.warm_up,
                window: extent.window,
            },
        };
        let outcome = child::load(&plan, extent.pinned);
        assert_eq!(outcome.failed, 0, "{:?} refused good requests", self.variant);
        self.outcomes.push(outcome);
    }
}

pub(crate) fn run(contenders: &mut [Contender], extent: &Extent) {
    for round in 0..extent.rounds {
        eprint!("\rround {} of {} ", round + 1, extent.rounds);
        let count = contenders.len();
        for step in 0..count {
            contenders[(round + step) % count].measure(extent);
        }
    }
    eprintln!();
}

pub(crate) fn rows(contenders: &[Contender]) -> Vec<Row> {
    contenders
        .iter()
        .map(|contender| {
            let name = contender.variant.name();
            let rates = ratios(contenders, contender.variant, Variant::None, rate);
            let costs = ratios(contenders, contender.variant, Variant::None, cost);
            Row {
                name,
                requests_per_second: median(contender.outcomes.iter().filter_map(rate)),
                rate_ratio: median(rates.clone()),
                rate_ratio_spread: spread(rates),
                cpu_micros: median(contender.outcomes.iter().filter_map(cost)),
                cpu_ratio: median(costs.clone()),
                cpu_ratio_spread: spread(costs),
            }
        })
        .collect()
}

/// The targets that compare variants with each other.
pub(crate) fn figures(contenders: &[Contender]) -> Vec<Figure> {
    let compare = |name, ours, theirs, what, target| {
        let ratios = ratios(contenders, ours, theirs, what);
        Figure::new(name, median(ratios.clone()), "times")
            .target(target)
            .note(spread(ratios))
    };
    #[rustfmt::skip]
    let figures = vec![
        compare("strict, server CPU, against a bare Redis GET", Variant::Strict, Variant::RedisGet, cost, Target::AtMost(1.10)),
        compare("strict, requests/s, against tower-sessions", Variant::Strict, Variant::TowerSessions, rate, Target::AtLeast(1.05)),
        compare("strict, server CPU, against tower-sessions", Variant::Strict, Variant::TowerSessions, cost, Target::AtMost(0.80)),
        compare("strict in axum, requests/s, against tower-sessions", Variant::AxumStrict, Variant::TowerSessions, rate, Target::AtLeast(1.05)),
        compare("strict in axum, server CPU, against tower-sessions", Variant::AxumStrict, Variant::TowerSessions, cost, Target::AtMost(0.80)),
        compare("bounded, requests/s, against no auth", Variant::Bounded, Variant::None, rate, Target::AtLeast(0.93)),
        compare("bounded, requests/s, against jsonwebtoken EdDSA", Variant::Bounded, Variant::JwtEddsa, rate, Target::AtLeast(6.0)),
    ];
    figures
}

type Measure = fn(&Outcome) -> Option<f64>;

fn rate(outcome: &Outcome) -> Option<f64> {
    Some(outcome.per_second())
}

fn cost(outcome: &Outcome) -> Option<f64> {
    outcome.cpu_micros()
}

/// Round by round.
fn ratios(contenders: &[Contender], of: Variant, to: Variant, what: Measure) -> Vec<f64> {
    let outcomes = |variant| {
        let found = contenders.iter().find(|contender| contender.variant == variant);
        found.map_or(&[][..], |contender| &contender.outcomes)
    };
    outcomes(of)
        .iter()
        .zip(outcomes(to))
        .filter_map(|(of, to)| Some(what(of)? / what(to)?))
        .collect()
}
