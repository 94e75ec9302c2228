//! The reference server at its capacity, and at four times its capacity.
//!
//! The capacity is `max_requests`. The clients never wait: after a refusal they send their next request at once.

use std::{net::SocketAddr, time::Duration};

use session_auth_tests::redis::TestRedis;
use tower_session_auth::{SigningKey, token::TokenSigner};

use crate::{
    child_process::Server,
    load::Latencies,
    server::{ServerConfig, ServerKind},
    test_sessions,
};

const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(500);
const WINDOW: Duration = Duration::from_secs(3);

pub(crate) fn main(capacities: &[usize]) {
    let redis = TestRedis::start();
    let url = redis.fresh_database();
    let key = SigningKey::generate().expect("generate a key");
    let signer = TokenSigner::new(key.clone());
    let runtime = tokio::runtime::Runtime::new().expect("create a runtime");
    let issued = runtime.block_on(test_sessions::create_with_tokens(&url, &signer, 0, 1));
    let token = issued[0].token.expose();
    let request = format!("GET /v1/session HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n");
    for &capacity in capacities {
        let config = ServerConfig {
            kind: ServerKind::Reference,
            redis: url.clone(),
            secret_key: key.to_paserk(),
            public_key: key.verifying_key().to_paserk(),
            now: test_sessions::unix_millis() / 1000,
            max_requests: Some(capacity),
        };
        let server = Server::start(&config, false);
        measure(server.address, &request, capacity);
    }
}

/// Measures in turn, and prints the median of the rounds.
fn measure(address: SocketAddr, request: &str, capacity: usize) {
    let mut ratios = Vec::new();
    println!("max_requests {capacity}: p99 of admitted requests, in ms");
    for _ in 0..ROUNDS {
        let normal = Latencies::measure(address, request, capacity, WARM_UP, WINDOW);
        let overload = Latencies::measure(address, request, 4 * capacity, WARM_UP, WINDOW);
        let (at, above) = (p99(&normal.admitted), p99(&overload.admitted));
        ratios.push(above / at);
        println!(
            "  at capacity {at:.1} ({:.0}/s); at 4 times {above:.1} ({:.0}/s), refused after {:.1} ({:.0}/s): {:.2} times",
            per_second(&normal.admitted),
            per_second(&overload.admitted),
            p99(&overload.refused),
            per_second(&overload.refused),
            above / at,
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("  median: {:.2} times", ratios[ROUNDS / 2]);
}

fn per_second(times: &[Duration]) -> f64 {
    times.len() as f64 / WINDOW.as_secs_f64()
}

fn p99(sorted: &[Duration]) -> f64 {
    let at = (sorted.len() * 99 / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
