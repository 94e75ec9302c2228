//! Processes that watch a failover: one is asked for revoked sessions, one revokes, and one serves protected requests.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use session_auth_server::config::Settings;
use session_auth_tests::{
    fixtures::{NOW, key},
    redis::command,
    server::{START, TestServer},
};
use tokio::{
    task::{JoinHandle, block_in_place},
    time::sleep,
};
use tower_session_auth::{
    AgentId, RedisStore, SessionId,
    clock::{ManualClock, Timestamp},
    store::{CachedStore as _, SessionStore as _},
};

use super::topology::Servers;

/// The time limit of the first requests, and of an outage. Far longer than both take.
const SERVED_WITHIN: Duration = Duration::from_secs(40);

/// The times of a failover, set as they come.
#[derive(Default)]
pub struct Times {
    /// All sentinels or nodes name the new master.
    pub announced: OnceLock<Instant>,
    /// The victims were revoked on the new master.
    pub revoked: OnceLock<Instant>,
    pub stop: AtomicBool,
}

/// Ages of wrong answers: the times from the announcement of the new master.
#[derive(Default, Clone)]
pub struct Ages(pub Vec<Duration>);

impl fmt::Debug for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, latest after {:.0?}", self.0.len(), self.latest())
    }
}

impl Ages {
    pub fn later_than(&self, bound: Duration) -> usize {
        self.0.iter().filter(|age| **age > bound).count()
    }

    pub fn latest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

/// Reads sessions again and again, from the cache first if there is one. Returns when they were accepted after their revocation.
pub fn verify(store: RedisStore, victims: Vec<SessionId>, times: Arc<Times>) -> JoinHandle<Ages> {
    tokio::spawn(async move {
        let mut ages = Ages::default();
        while !times.stop.load(Ordering::Relaxed) {
            for &id in &victims {
                let revoked_before = times.revoked.get().is_some();
                let accepted = match store.cached(id) {
                    Some(record) => record.revoked_at.is_none(),
                    None => match store.read_through(id).await {
                        Ok(Some(record)) => record.revoked_at.is_none(),
                        _ => false,
                    },
                };
                if let (true, true, Some(announced)) = (accepted, revoked_before, times.announced.get()) {
                    ages.0.push(announced.elapsed());
                }
            }
            sleep(Duration::from_millis(2)).await;
        }
        ages
    })
}

/// Revokes sessions one by one. Returns when the old master has acknowledged one although the new one was announced: the new master does
/// not have it.
pub fn revoke(
    store: RedisStore,
    ids: Vec<SessionId>,
    new_master: String,
    times: Arc<Times>,
) -> JoinHandle<Ages> {
    tokio::spawn(async move {
        let mut ages = Ages::default();
        for id in ids {
            while store.revoke(id, NOW).await.is_err() && !times.stop.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(2)).await;
            }
            if times.stop.load(Ordering::Relaxed) {
                break;
            }
            if let Some(announced) = times.announced.get() {
                let age = announced.elapsed();
                if !block_in_place(|| is_revoked(&new_master, id)) {
                    ages.0.push(age);
                }
            }
            sleep(Duration::from_millis(15)).await;
        }
        ages
    })
}

/// True if the record on this server is revoked.
fn is_revoked(url: &str, id: SessionId) -> bool {
    let record: Vec<u8> = command(url, &["GET", &key(id)]).unwrap();
    record.first().is_some_and(|bits| *bits >= 128)
}

/// A server with a session on the master.
pub struct Requests {
    server: TestServer,
    token: String,
}

impl Requests {
    pub async fn start(servers: &Servers) -> Self {
        let settings = Settings {
            redis_url: Some(servers.url()),
            store_timeout_ms: Some(250),
            ..Settings::default()
        };
        let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
        let api = &server.api;
        let began = Instant::now();
        // On a machine under load, the first requests can miss the deadline.
        while began.elapsed() < SERVED_WITHIN {
            let agent = api.agent_reply().await;
            if agent.status != 201 {
                continue;
            }
            let agent = agent.text("id");
            let id: AgentId = agent.parse().unwrap();
            if block_in_place(|| servers.is_on_the_master(id)) {
                let session = api.create(json!({ "agentId": agent })).await;
                if session.status == 201 {
                    let token = session.issued().token;
                    return Self { server, token };
                }
            }
        }
        panic!("no session can be created");
    }

    /// Sends protected requests. Returns how long they were not served.
    pub fn send(self, times: Arc<Times>) -> JoinHandle<Duration> {
        tokio::spawn(async move {
            let (mut refused, mut since) = (Duration::ZERO, None);
            // Until requests are served again.
            while !times.stop.load(Ordering::Relaxed) || since.is_some() {
                let sent = Instant::now();
                let status = self.server.api.access(&self.token).await.status;
                match (status, since) {
                    (503, None) => since = Some(sent),
                    (200, Some(began)) => {
                        refused += Instant::now() - began;
                        since = None;
                    }
                    (200, None) => {}
                    (503, Some(began)) => assert!(began.elapsed() < SERVED_WITHIN, "requests are refused"),
                    other => panic!("a protected request: {other:?}"),
                }
                sleep(Duration::from_millis(3)).await;
            }
            refused
        })
    }
}
