//! Forward auth: `/v1/auth` of the reference server against a constant response.

use std::time::Duration;

use session_auth_tests::redis::TestRedis;
use tower_session_auth::{SigningKey, token::TokenSigner};

use crate::{
    child_process::{self, Server},
    figures::{median, range},
    load::{LoadPlan, LoadResult, Task},
    machine,
    server::{ServerConfig, ServerKind},
    test_sessions,
};

const ROUNDS: usize = 12;
const WARM_UP: Duration = Duration::from_millis(300);
const WINDOW: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 32;
const SESSIONS: usize = 1_000;

const KINDS: &[(&str, ServerKind)] = &[
    ("constant 204", ServerKind::NoContent),
    ("/v1/auth, bounded", ServerKind::BoundedReference),
    ("/v1/auth, strict", ServerKind::Reference),
];

pub(crate) fn main(rounds: Option<usize>) {
    let pinned = machine::can_pin();
    let redis = TestRedis::start();
    let url = redis.fresh_database();
    let key = SigningKey::generate().expect("generate a key");
    let signer = TokenSigner::new(key.clone());
    let runtime = tokio::runtime::Runtime::new().expect("create a runtime");
    let issued = runtime.block_on(test_sessions::create_with_tokens(&url, &signer, 0, SESSIONS));
    let request = |token: &str| {
        format!("GET /v1/auth HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n")
    };
    let requests: Vec<_> = issued
        .iter()
        .map(|issued| request(issued.token.expose()))
        .collect();
    let servers = KINDS.iter().map(|(_, kind)| {
        let config = ServerConfig {
            kind: *kind,
            redis: url.clone(),
            secret_key: key.to_paserk(),
            public_key: key.verifying_key().to_paserk(),
            now: test_sessions::unix_millis() / 1000,
            max_requests: None,
        };
        let server = Server::start(&config, pinned);
        if pinned {
            machine::pin_process(machine::SERVER_CORE, server.process_id());
        }
        server
    });
    let servers: Vec<_> = servers.collect();
    let mut results: Vec<Vec<LoadResult>> = vec![vec![]; servers.len()];
    for round in 0..rounds.unwrap_or(ROUNDS) {
        for step in 0..servers.len() {
            let place = (round + step) % servers.len();
            let server = &servers[place];
            let plan = LoadPlan {
                address: server.address,
                server_process: server.process_id(),
                connections: CONNECTIONS,
                busy_poll: pinned,
                task: Task::Repeat {
                    requests: requests.clone(),
                    warm_up: WARM_UP,
                    window: WINDOW,
                },
            };
            let result = child_process::run_load(&plan, pinned);
            assert_eq!(result.failed, 0, "{} rejected valid requests", KINDS[place].0);
            results[place].push(result);
        }
    }
    println!("| server | requests/s | ratio | server CPU, µs |");
    for ((name, _), own) in KINDS.iter().zip(&results) {
        let ratios = own.iter().zip(&results[0]);
        let ratios: Vec<_> = ratios
            .map(|(own, first)| own.requests_per_second() / first.requests_per_second())
            .collect();
        println!(
            "| {name} | {:.0} | {:.2} ({}) | {:.1} |",
            median(own.iter().map(LoadResult::requests_per_second)).unwrap_or_default(),
            median(ratios.clone()).unwrap_or_default(),
            range(ratios),
            median(own.iter().filter_map(LoadResult::cpu_micros)).unwrap_or_default(),
        );
    }
}
