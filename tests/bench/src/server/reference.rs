//! The reference server with its whole stack, and a clock that is moved from outside.

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
    store::RedisStoreConfig,
};

use super::{Setup, Started, started};

/// What moves the clock, for longer than the half of a ttl that must pass between renewals, and for less than a whole one.
const STEP: Duration = Duration::from_secs(50_000);

pub(super) async fn run(setup: &Setup) {
    let settings = Settings {
        // The password is proven once a minute and remembered: how hard it is to prove does not matter here.
        master_password_hash: Some(cheap_hash()),
        redis_url: None,
        ..Settings::default()
    };
    let mut config = Config::resolve(settings).expect("a configuration");
    config.keys = KeySet::single(SigningKey::from_paserk(&setup.secret_key).expect("a key"));
    config.store = Store::Redis(RedisStoreConfig::new(&setup.redis));

    let clock = ManualClock::new(Timestamp(setup.now));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let control = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    started(&Started {
        address: listener.local_addr().expect("an address"),
        clock: Some(control.local_addr().expect("an address")),
    });
    tokio::spawn(move_clock(control, clock.clone()));
    session_auth_server::run(config, Arc::new(clock), listener, std::future::pending())
        .await
        .expect("a running server");
}

/// Each byte moves it by a step and is sent back.
async fn move_clock(control: TcpListener, clock: ManualClock) {
    loop {
        let (mut stream, _) = control.accept().await.expect("a connection");
        while let Ok(byte) = stream.read_u8().await {
            clock.advance(STEP);
            if stream.write_u8(byte).await.is_err() {
                break;
            }
        }
    }
}
