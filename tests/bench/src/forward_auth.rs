//! Forward auth: the reference server against a constant response, asked directly and by reverse proxies.

use std::{net::SocketAddr, time::Duration};

use session_auth_tests::{
    proxies::{CADDY, ENVOY, ENVOY_GRPC, HAPROXY, NGINX, ProxyKind, RunningProxy, TRAEFIK},
    redis::{TestRedis, command},
};
use tokio::runtime::Runtime;
use tower_session_auth::{SigningKey, token::TokenSigner};

use crate::{
    child_process::{self, Server},
    figures::{median, range},
    load::{LoadPlan, LoadResult, Task},
    server::{BARE_KEY, BARE_VALUE, ServerConfig, ServerKind},
    test_sessions,
    variant::Variant,
};

const ROUNDS: usize = 12;
const WARM_UP: Duration = Duration::from_millis(300);
const WINDOW: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 32;
const SESSIONS: usize = 1_000;
/// Traefik is the last: it uses up local ports, since it keeps 2 connections for ForwardAuth and opens one for each request beyond them.
pub(crate) const PROXIES: [&ProxyKind; 5] = [&NGINX, &CADDY, &HAPROXY, &ENVOY, &TRAEFIK];

/// The address that the load asks, and its requests. `server` is the process whose CPU time is measured.
struct Row {
    name: String,
    address: SocketAddr,
    requests: Vec<String>,
    server: u32,
    results: Vec<LoadResult>,
}

/// The servers behind the rows.
struct Servers {
    constant: Server,
    on_threads: Server,
    bounded: Server,
    after_get: Server,
    strict: Server,
    upstream: Server,
}

pub(crate) fn main(names: &[String], rounds: Option<usize>) {
    let rounds = rounds.unwrap_or(ROUNDS);
    let redis = TestRedis::start();
    let url = redis.fresh_database();
    let key = SigningKey::generate().expect("generate a key");
    let signer = TokenSigner::new(key.clone());
    let runtime = Runtime::new().expect("create a runtime");
    let issued = runtime.block_on(test_sessions::create_with_tokens(&url, &signer, 0, SESSIONS));
    let requests = |path: &str| -> Vec<String> {
        let request = |token: &str| {
            format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n")
        };
        issued
            .iter()
            .map(|issued| request(issued.token.expose()))
            .collect()
    };
    let value = String::from_utf8_lossy(&BARE_VALUE);
    let _: () = command(&url, &["SET", BARE_KEY, &value]).expect("SET of the bare key");
    let start = |kind| {
        let config = ServerConfig {
            kind,
            redis: url.clone(),
            secret_key: key.to_paserk(),
            public_key: key.verifying_key().to_paserk(),
            now: test_sessions::unix_millis() / 1000,
            max_requests: None,
        };
        Server::start(&config, false)
    };
    let servers = Servers {
        constant: start(ServerKind::ConstantSession),
        on_threads: start(ServerKind::ConstantSessionOnThreads),
        bounded: start(ServerKind::BoundedReference),
        after_get: start(ServerKind::ConstantSessionAfterGet),
        strict: start(ServerKind::Reference),
        upstream: start(ServerKind::Variant(Variant::NoAuth)),
    };
    let auth_servers = [
        ("constant session", &servers.constant),
        ("constant session, several threads", &servers.on_threads),
        ("bounded", &servers.bounded),
        (
            "constant session after a bare GET, several threads",
            &servers.after_get,
        ),
        ("strict", &servers.strict),
    ];

    let direct =
        auth_servers.map(|(name, server)| Row::new(name, server.address, requests("/v1/auth"), server));
    measure("asked directly", direct.into(), rounds);
    let is_selected = |kind: &&ProxyKind| names.is_empty() || names.iter().any(|name| name == kind.name);
    for kind in PROXIES
        .into_iter()
        .filter(is_selected)
        .filter(|kind| kind.is_wanted())
    {
        let proxy = |kind: &ProxyKind, auth: &Server| {
            runtime.block_on(RunningProxy::start(kind, auth.address, servers.upstream.address))
        };
        let proxies = auth_servers.map(|(name, server)| (name, server, proxy(kind, server)));
        let grpc = (kind.name == ENVOY.name).then(|| proxy(&ENVOY_GRPC, &servers.bounded));
        let mut rows: Vec<_> = proxies
            .iter()
            .map(|(name, server, proxy)| Row::new(name, proxy.address, requests("/a"), server))
            .collect();
        let alone = proxies[0].2.address;
        rows.push(Row::new(
            "no auth",
            alone,
            requests("/public/a"),
            &servers.upstream,
        ));
        if let Some(grpc) = &grpc {
            rows.push(Row::new(
                "bounded, over gRPC",
                grpc.address,
                requests("/a"),
                &servers.bounded,
            ));
        }
        measure(kind.name, rows, rounds);
    }
}

impl Row {
    fn new(name: &str, address: SocketAddr, requests: Vec<String>, server: &Server) -> Self {
        Self {
            name: name.to_owned(),
            address,
            requests,
            server: server.process_id(),
            results: Vec::new(),
        }
    }
}

/// Measures the rows in turn, and prints their medians. Ratios relate to the first row in the same round.
fn measure(title: &str, mut rows: Vec<Row>, rounds: usize) {
    for round in 0..rounds {
        let count = rows.len();
        for step in 0..count {
            let row = &mut rows[(round + step) % count];
            let plan = LoadPlan {
                address: row.address,
                server_process: row.server,
                connections: CONNECTIONS,
                busy_poll: false,
                task: Task::Repeat {
                    requests: row.requests.clone(),
                    warm_up: WARM_UP,
                    window: WINDOW,
                },
            };
            let result = child_process::run_load(&plan, false);
            assert_eq!(
                result.failed, 0,
                "{title}, {}: valid requests were rejected",
                row.name
            );
            row.results.push(result);
        }
    }
    println!("| {title} | requests/s | ratio | CPU of the auth server, µs |");
    for row in &rows {
        let ratios = row.results.iter().zip(&rows[0].results);
        let ratios = ratios.map(|(own, first)| own.requests_per_second() / first.requests_per_second());
        let ratios: Vec<_> = ratios.collect();
        println!(
            "| {} | {:.0} | {:.2} ({}) | {:.1} |",
            row.name,
            median(row.results.iter().map(LoadResult::requests_per_second)).unwrap_or_default(),
            median(ratios.clone()).unwrap_or_default(),
            range(ratios),
            median(row.results.iter().filter_map(LoadResult::cpu_micros)).unwrap_or_default(),
        );
    }
}
