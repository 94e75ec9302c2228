//! This build against another one. The servers of both run side by side, and are measured in turn.

use std::{path::Path, time::Duration};

use session_auth_tests::redis::TestRedis;
use tokio::runtime::Runtime;
use tower_session_auth::{SigningKey, token::TokenSigner};

use crate::{
    child_process::{Server, this_program},
    credentials::Credentials,
    figures::{median, range},
    load::LoadResult,
    machine,
    rounds::{self, Contender, RoundSettings},
    server::{BARE_KEY, BARE_VALUE, ServerConfig, ServerKind},
    test_sessions,
    variant::Variant,
};

const ROUNDS: usize = 20;
const SESSIONS: usize = 1_000;
const VARIANTS: [Variant; 4] = [
    Variant::NoAuth,
    Variant::RedisGet,
    Variant::Strict,
    Variant::Bounded,
];

pub(crate) fn main(other: &Path, rounds: Option<usize>) {
    let pinned = machine::can_pin();
    let redis = TestRedis::start();
    let url = redis.fresh_database();
    if pinned {
        machine::pin_process(machine::LOAD_CORE, redis.process_id());
    }
    let key = SigningKey::generate().expect("generate a key");
    let signer = TokenSigner::new(key.clone());
    let runtime = Runtime::new().expect("create a runtime");
    let sessions = runtime.block_on(test_sessions::create_with_tokens(&url, &signer, 0, SESSIONS));
    let credentials = runtime.block_on(Credentials::create(&sessions, &key.to_paserk(), &url));
    let value = String::from_utf8_lossy(&BARE_VALUE);
    let _: () =
        session_auth_tests::redis::command(&url, &["SET", BARE_KEY, &value]).expect("SET of the bare key");
    let this = this_program();
    let contender = |variant, program: &Path| {
        let config = ServerConfig {
            kind: ServerKind::Variant(variant),
            redis: url.clone(),
            secret_key: key.to_paserk(),
            public_key: key.verifying_key().to_paserk(),
            now: test_sessions::unix_millis() / 1000,
            max_requests: None,
        };
        Contender::new(
            variant,
            Server::start_program(program, &config, pinned),
            &credentials,
        )
    };
    // The other build first, then this one.
    let mut contenders: Vec<_> = VARIANTS
        .iter()
        .flat_map(|variant| [contender(*variant, other), contender(*variant, &this)])
        .collect();
    let settings = RoundSettings {
        count: rounds.unwrap_or(ROUNDS).div_ceil(2),
        warm_up: Duration::from_millis(150),
        window: Duration::from_millis(800),
        connections: 32,
        pinned,
    };
    // In both orders: a server gains if the one before it has read the same sessions.
    for _ in 0..2 {
        rounds::measure(&mut contenders, &settings);
        contenders.reverse();
    }

    println!(
        "| variant | requests/s, this to other | server CPU, µs: other, this | server CPU, this to other |"
    );
    for pair in contenders.chunks(2) {
        let [other, this] = pair else { continue };
        let ratios = |measure: fn(&LoadResult) -> f64| -> Vec<f64> {
            let pairs = this.results.iter().zip(&other.results);
            pairs
                .map(|(this, other)| measure(this) / measure(other))
                .collect()
        };
        let cpu = |result: &LoadResult| result.cpu_micros().unwrap_or(f64::NAN);
        let (rates, costs) = (ratios(LoadResult::requests_per_second), ratios(cpu));
        println!(
            "| {} | {:.2} ({}) | {:.2}, {:.2} | {:.2} ({}) |",
            this.variant.name(),
            median(rates.clone()).unwrap_or(f64::NAN),
            range(rates),
            median(other.results.iter().map(cpu)).unwrap_or(f64::NAN),
            median(this.results.iter().map(cpu)).unwrap_or(f64::NAN),
            median(costs.clone()).unwrap_or(f64::NAN),
            range(costs),
        );
    }
}
