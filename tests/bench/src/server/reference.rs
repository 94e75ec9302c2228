//! The complete reference server, with a clock that the load process advances.

use std::{sync::Arc, time::Duration};

use session_auth_server::config::{Config, Settings, Store};
use session_auth_tests::server::cheap_hash;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tower_session_auth::{
    KeySet, SigningKey,
    clock::{ManualClock, Timestamp},
    session_auth::Freshness,
    store::RedisStoreConfig,
};

use super::{ServerAddresses, ServerConfig, ServerKind, print_addresses};

/// One step of the clock: more than half of a token's lifetime, so that it can be renewed, and less than all of it.
const CLOCK_STEP: Duration = Duration::from_secs(50_000);

pub(super) async fn run(bench_config: &ServerConfig) {
    let settings = Settings {
        // The server remembers a verified password for a minute, so the cost of its hash does not matter here.
        master_password_hash: Some(cheap_hash()),
        redis_url: None,
        max_requests: bench_config.max_requests,
        max_connections: Some(8192),
        max_connections_per_client: Some(8192),
        ..Settings::default()
    };
    let mut config = Config::resolve(settings).expect("a valid configuration");
    config.keys = KeySet::single(SigningKey::from_paserk(&bench_config.secret_key).expect("a valid key"));
    if bench_config.kind == ServerKind::BoundedReference {
        config.freshness = Freshness::Bounded;
    }
    config.store = Store::Redis(RedisStoreConfig::new(&bench_config.redis));

    let clock = ManualClock::new(Timestamp(bench_config.now));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a free port");
    let control = TcpListener::bind("127.0.0.1:0").await.expect("bind a free port");
    print_addresses(&ServerAddresses {
        address: listener.local_addr().expect("the local address"),
        clock_control: Some(control.local_addr().expect("the local address")),
    });
    tokio::spawn(advance_clock(control, clock.clone()));
    let (_, reloads) = tokio::sync::mpsc::channel(1);
    session_auth_server::run(
        config,
        Arc::new(clock),
        vec![listener.into()],
        std::future::pending(),
        reloads,
    )
    .await
    .expect("run the reference server");
}

/// Advances the clock by one step for each received byte, then echoes the byte.
async fn advance_clock(control: TcpListener, clock: ManualClock) {
    loop {
        let (mut stream, _) = control.accept().await.expect("accept a connection");
        while let Ok(byte) = stream.read_u8().await {
            clock.advance(CLOCK_STEP);
            if stream.write_u8(byte).await.is_err() {
                break;
            }
        }
    }
}
