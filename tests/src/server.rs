//! The reference server in the test's process, on a free port, with a manual clock.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use session_auth_server::{
    Reload,
    config::{Config, Settings},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tower_session_auth::clock::{Clock, ManualClock, Timestamp};

use crate::{
    api::Api,
    redis::{Guard, Keyspace},
};

/// The master password of test servers.
pub const PASSWORD: &str = "correct horse battery staple";

/// The initial time of a test's clock.
pub const START: u64 = 1_800_000_000;

/// A running server. It stops when dropped.
pub struct TestServer {
    pub api: Api,
    pub clock: ManualClock,
    pub address: SocketAddr,
    /// Applies a new configuration to the running server.
    pub reload: mpsc::Sender<Reload>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    /// Keeps the shared Redis running.
    _redis: Option<Guard>,
}

impl TestServer {
    /// Starts a server with the memory store.
    pub async fn memory() -> Self {
        Self::memory_with(|_| {}).await
    }

    pub async fn memory_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        adjust(&mut settings);
        Self::start(settings, None, ManualClock::new(Timestamp(START))).await
    }

    /// Starts a server on an unused keyspace of the Redis that `TEST_REDIS_TOPOLOGY` names.
    pub async fn redis() -> Self {
        Self::redis_with(|_| {}).await
    }

    pub async fn redis_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let keyspace = Keyspace::fresh();
        let mut settings = Settings {
            redis_url: Some(keyspace.url),
            redis_key_prefix: Some(keyspace.key_prefix),
            ..Settings::default()
        };
        adjust(&mut settings);
        Self::start(
            settings,
            Some(keyspace.server),
            ManualClock::new(Timestamp(START)),
        )
        .await
    }

    /// Starts a server with these settings. It generates keys if none are set.
    pub async fn start(mut settings: Settings, redis: Option<Guard>, clock: ManualClock) -> Self {
        let url = settings.redis_url.take();
        let key_prefix = settings.redis_key_prefix.take().unwrap_or_default();
        settings.master_password_hash.get_or_insert_with(cheap_hash);
        // Tests that do not cover the deadline must not fail on slow machines.
        settings.store_timeout_ms.get_or_insert(5_000);
        let timeout = Duration::from_millis(settings.store_timeout_ms.unwrap_or_default());
        let lease = settings.master_lease_ms;
        let (replicas, ack_timeout) = (settings.min_replicas_ack, settings.ack_timeout_ms);
        let local_disk = settings.ack_local_disk.unwrap_or_default();
        let require_durable = settings.require_durable_store.unwrap_or_default();
        let mut config = Config::resolve(settings).expect("a configuration");
        if let Some(url) = url {
            let mut redis = tower_session_auth::store::RedisStoreConfig::new(url);
            redis.timeout = timeout;
            redis.key_prefix = key_prefix;
            if let Some(millis) = lease {
                redis.master_lease = Duration::from_millis(millis);
            }
            redis.require_durable_store = require_durable;
            redis.ack_local_disk = local_disk;
            redis.min_replicas_ack = replicas.unwrap_or_default();
            redis.ack_timeout = ack_timeout.map_or(redis.ack_timeout, Duration::from_millis);
            config.store = session_auth_server::config::Store::Redis(redis);
        }
        Self::run(config, redis, clock).await
    }

    /// Starts a server with the memory store and another configuration than the default one.
    pub async fn configured(adjust: impl FnOnce(&mut Config)) -> Self {
        let settings = Settings {
            master_password_hash: Some(cheap_hash()),
            ..Settings::default()
        };
        let mut config = Config::resolve(settings).expect("a configuration");
        adjust(&mut config);
        Self::run(config, None, ManualClock::new(Timestamp(START))).await
    }

    /// Starts a server with a complete configuration.
    pub async fn run(config: Config, redis: Option<Guard>, clock: ManualClock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let (reload, reloads) = mpsc::channel(1);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            session_auth_server::run(config, shared, vec![listener.into()], stopped, reloads)
                .await
                .expect("a running server");
        });
        Self {
            api: Api::new(address, PASSWORD),
            clock,
            address,
            reload,
            stop: Some(stop),
            running,
            _redis: redis,
        }
    }

    /// Advances the clock.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The time of the clock, in seconds since the epoch.
    pub fn now(&self) -> u64 {
        self.clock.now().0
    }

    /// Shuts the server down and waits until it has stopped.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.running).await.expect("a clean stop");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The hash of [`PASSWORD`], with the smallest Argon2id parameters.
pub fn cheap_hash() -> String {
    cheap_hash_of(PASSWORD)
}

/// The hash of a password, with the smallest Argon2id parameters.
pub fn cheap_hash_of(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).expect("parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes())
        .expect("a hash")
        .to_string()
}

/// Makes two tests of each function that takes a `TestServer`: one with the memory store, one with Redis.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$attr:meta])* async fn $name:ident($server:ident: TestServer) $body:block)*) => {
        mod memory {
            use super::*;
            $($(#[$attr])* #[tokio::test] async fn $name() { super::$name(TestServer::memory().await).await; })*
        }
        mod redis {
            use super::*;
            $($(#[$attr])* #[tokio::test] async fn $name() { super::$name(TestServer::redis().await).await; })*
        }
        $(async fn $name($server: TestServer) $body)*
    };
}
