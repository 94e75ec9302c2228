//! The reference server in process, on a free port, with a clock of the test's.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use session_auth_server::config::{Config, Settings};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_session_auth::clock::{Clock, ManualClock, Timestamp};

use crate::{api::Api, redis::TestRedis};

/// The master password of the servers here.
pub const PASSWORD: &str = "correct horse battery staple";

/// The time at which the clock of a test stands at first.
pub const START: u64 = 1_800_000_000;

/// A running server. It stops when dropped.
pub struct TestServer {
    pub api: Api,
    pub clock: ManualClock,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    /// Keeps the shared Redis alive.
    _redis: Option<Arc<TestRedis>>,
}

impl TestServer {
    /// On the embedded store.
    pub async fn memory() -> Self {
        Self::memory_with(|_| {}).await
    }

    pub async fn memory_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        adjust(&mut settings);
        Self::start(settings, None, ManualClock::new(Timestamp(START))).await
    }

    /// On an empty database of the shared Redis.
    pub async fn redis() -> Self {
        Self::redis_with(|_| {}).await
    }

    pub async fn redis_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let redis = TestRedis::shared();
        let mut settings = Settings {
            redis_url: Some(redis.fresh_database()),
            ..Settings::default()
        };
        adjust(&mut settings);
        Self::start(settings, Some(redis), ManualClock::new(Timestamp(START))).await
    }

    /// With these settings. Keys are made up where none are set.
    pub async fn start(mut settings: Settings, redis: Option<Arc<TestRedis>>, clock: ManualClock) -> Self {
        let url = settings.redis_url.take();
        settings.master_password_hash.get_or_insert_with(cheap_hash);
        // Slow machines must not fail tests that are not about the deadline.
        settings.store_timeout_ms.get_or_insert(5_000);
        let timeout = Duration::from_millis(settings.store_timeout_ms.unwrap_or_default());
        let mut config = Config::resolve(settings).expect("a configuration");
        if let Some(url) = url {
            let mut redis = tower_session_auth::store::RedisStoreConfig::new(url);
            redis.timeout = timeout;
            config.store = session_auth_server::config::Store::Redis(redis);
        }
        Self::run(config, redis, clock).await
    }

    /// With a whole configuration.
    pub async fn run(config: Config, redis: Option<Arc<TestRedis>>, clock: ManualClock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            session_auth_server::run(config, shared, listener, stopped)
                .await
                .expect("a running server");
        });
        Self {
            api: Api::new(address, PASSWORD),
            clock,
            address,
            stop: Some(stop),
            running,
            _redis: redis,
        }
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub fn now(&self) -> u64 {
        self.clock.now().0
    }

    /// Asks the server to stop and waits until it has.
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

/// The hash of [`PASSWORD`], with the least that Argon2id takes.
pub fn cheap_hash() -> String {
    let params = Params::new(8, 1, 1, None).expect("parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(PASSWORD.as_bytes())
        .expect("a hash")
        .to_string()
}

/// Makes of each test over a server two: one for each store.
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
