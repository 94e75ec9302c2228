//! What a client of the HTTP API sees while Redis, or the way to it, is faulty: the rows of `docs/redis-failures.md`.

mod network;
mod refusals;
mod server;

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use session_auth_server::config::Settings;
use session_auth_tests::{
    api::{Issued, Reply},
    redis::TestRedis,
    server::{START, TestServer},
};
use tokio::time::sleep;
use tower_session_auth::clock::{ManualClock, Timestamp};

use super::{
    execute,
    fault_proxy::{FaultProxy, Mode},
};

const DEADLINE: Duration = Duration::from_millis(250);
/// The deadline, and a reserve for a loaded machine.
const SLOWEST: Duration = Duration::from_secs(1);
const HEALED_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// A server whose Redis is behind a proxy.
struct Faulty {
    redis: TestRedis,
    proxy: FaultProxy,
    server: TestServer,
    agent: String,
    /// A session that the tests only use.
    session: Issued,
    /// A session that the tests try to change.
    changed: Issued,
}

impl Faulty {
    async fn start() -> Self {
        Self::start_on(TestRedis::start()).await
    }

    async fn start_on(redis: TestRedis) -> Self {
        let proxy = FaultProxy::start(redis.port(), Mode::Open).await;
        let clock = ManualClock::new(Timestamp(START));
        let server = start_server(proxy.url(), &clock).await;
        let agent = server.api.agent().await;
        let (session, changed) = (server.api.session(&agent).await, server.api.session(&agent).await);
        // Half of the ttl: the session can be renewed.
        clock.set(Timestamp(START + 43_200));
        Self {
            redis,
            proxy,
            server,
            agent,
            session,
            changed,
        }
    }

    async fn access(&self) -> Reply {
        timed(self.server.api.access(&self.session.token)).await.0
    }

    async fn ready(&self) -> Reply {
        timed(self.server.api.anonymous(Method::GET, "/readyz")).await.0
    }

    async fn create(&self) -> Reply {
        let body = json!({ "agentId": self.agent });
        timed(self.server.api.create(body)).await.0
    }

    async fn renew(&self) -> Reply {
        let Issued { id, token, .. } = &self.changed;
        timed(self.server.api.renew(id, token)).await.0
    }

    async fn revoke(&self) -> Reply {
        timed(self.server.api.revoke(&self.changed.id)).await.0
    }

    /// Asserts that each kind of request is a 503, within the deadline.
    async fn is_unavailable(&self) {
        for reply in [
            self.access().await,
            self.renew().await,
            self.revoke().await,
            self.create().await,
            self.ready().await,
        ] {
            is_503(&reply);
        }
    }

    /// Asserts that every request with a token is a 503 for this long. Returns the duration of the last one.
    async fn is_unavailable_for(&self, duration: Duration) -> Duration {
        let began = Instant::now();
        loop {
            let (reply, took) = timed(self.server.api.access(&self.session.token)).await;
            is_503(&reply);
            if began.elapsed() >= duration {
                return took;
            }
            sleep(POLL).await;
        }
    }

    /// Sends requests until one is no 503, within [`HEALED_WITHIN`]. Its session must be active, and `/readyz` a 200 then.
    async fn heals(&self) {
        self.answers_again().await.expect(200);
        assert_eq!(self.ready().await.expect(200).body["status"], "ready");
        self.create().await.expect(201);
    }

    /// The first response that is no 503, within [`HEALED_WITHIN`].
    async fn answers_again(&self) -> Reply {
        let began = Instant::now();
        loop {
            let reply = self.access().await;
            if reply.status != 503 {
                println!("healed after {:?}", began.elapsed());
                return reply;
            }
            is_503(&reply);
            assert!(began.elapsed() < HEALED_WITHIN, "{}", reply.body);
            sleep(POLL).await;
        }
    }
}

async fn start_server(redis_url: String, clock: &ManualClock) -> TestServer {
    let settings = Settings {
        redis_url: Some(redis_url),
        store_timeout_ms: Some(DEADLINE.as_millis().try_into().unwrap()),
        ..Settings::default()
    };
    TestServer::start(settings, None, clock.clone()).await
}

fn is_503(reply: &Reply) {
    reply.rejected(503, "STORE_UNAVAILABLE");
    assert_eq!(reply.body["retryable"], true);
    assert!(!reply.header("retry-after").is_empty());
}

/// Awaits a response, which must arrive within [`SLOWEST`].
async fn timed(request: impl Future<Output = Reply>) -> (Reply, Duration) {
    let began = Instant::now();
    let reply = request.await;
    let took = began.elapsed();
    assert!(took < SLOWEST, "{took:?}: {reply:?}");
    (reply, took)
}
