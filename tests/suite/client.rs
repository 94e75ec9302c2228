//! The client layer against a real server: concurrent requests, crashes, processes that share a session, and the session's end.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use session_auth_tests::{
    api::{Issued, http_client},
    on_both_stores,
    proxy::Proxy,
    server::TestServer,
};
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_session_auth::client::{
    ClientSession, FileStorage, MemoryStorage, SavedSession, SessionOver, SessionStorage,
};

const DAY: u64 = 86_400;

fn saved(session: &Issued) -> SavedSession {
    serde_json::from_value(session.body.clone()).unwrap()
}

fn base(address: std::net::SocketAddr) -> Uri {
    format!("http://{address}").parse().unwrap()
}

async fn open(server: &TestServer, storage: impl SessionStorage) -> ClientSession {
    ClientSession::builder(http_client(), base(server.address))
        .clock(server.clock.clone())
        .backoff(Duration::from_millis(1), Duration::from_millis(5))
        .open(storage)
        .await
        .unwrap()
}

async fn open_session(server: &TestServer) -> Issued {
    server.api.session(&server.api.agent().await).await
}

/// Sends a request through the client layer. Returns the status and the body.
async fn get(session: &ClientSession, server: &TestServer) -> Result<(u16, Value), BoxError> {
    let mut api = session.layer().resend_cloned().layer(http_client());
    let request = Request::get(format!("http://{}/v1/session", server.address));
    let request = request
        .header("authorization", "Bearer of-somebody-else")
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = api.ready().await?.call(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&body)?))
}

async fn get_ok(session: &ClientSession, server: &TestServer) -> Value {
    let (status, body) = get(session, server).await.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

async fn session_over(session: &ClientSession, server: &TestServer) -> SessionOver {
    let error = get(session, server).await.unwrap_err();
    *error.downcast_ref().unwrap_or_else(|| panic!("{error}"))
}

on_both_stores! {
    async fn fifty_concurrent_requests_cause_one_renewal_and_no_failure(server: TestServer) {
        let issued = open_session(&server).await;
        let proxy = Proxy::start(server.address, None).await;
        let session = ClientSession::builder(http_client(), base(proxy.address))
            .clock(server.clock.clone())
            .open(MemoryStorage::new(saved(&issued)))
            .await
            .unwrap();
        server.advance(DAY * 8 / 10);
        let server = Arc::new(server);
        let sent: Vec<_> = (0..50)
            .map(|_| {
                let (session, server) = (session.clone(), server.clone());
                tokio::spawn(async move { get_ok(&session, &server).await })
            })
            .collect();
        for request in sent {
            request.await.unwrap();
        }
        session.fresh_token().await.unwrap();
        let path = format!("/v1/sessions/{}/renew", issued.id);
        assert_eq!(proxy.log().requests.get(&path), Some(&1), "one renewal was sent");
        assert_eq!(get_ok(&session, &server).await["renewalCount"], 1);
    }

    async fn revoked_session_ends_until_another_one_is_loaded(server: TestServer) {
        let issued = open_session(&server).await;
        let storage = MemoryStorage::new(saved(&issued));
        let session = open(&server, storage.clone()).await;
        get_ok(&session, &server).await;
        server.api.revoke(&issued.id).await.expect(200);
        assert_eq!(session_over(&session, &server).await, SessionOver::Revoked);
        assert_eq!(session.ended().await, SessionOver::Revoked);
        assert_eq!(session.token().await.unwrap_err(), SessionOver::Revoked);

        // The application saves another session and continues.
        let before = storage.load().await.unwrap();
        storage.replace(&before, &saved(&open_session(&server).await)).await.unwrap();
        session.reload().await.unwrap();
        get_ok(&session, &server).await;
    }

    async fn session_ends_at_the_renewal_limit_and_at_the_absolute_lifetime(server: TestServer) {
        let agent = server.api.agent().await;
        let request = serde_json::json!({ "agentId": agent, "ttl": 600, "maxRenewals": 1 });
        let issued = server.api.create(request).await.expect(201).issued();
        let session = open(&server, MemoryStorage::new(saved(&issued))).await;
        server.advance(480);
        session.fresh_token().await.unwrap();
        server.advance(480);
        session.fresh_token().await.unwrap();
        // The last token is valid until it expires.
        server.advance(119);
        assert_eq!(get_ok(&session, &server).await["renewalCount"], 1);
        server.advance(1);
        assert_eq!(session_over(&session, &server).await, SessionOver::LimitReached);

        let request = serde_json::json!({ "agentId": agent, "ttl": 600, "absoluteLifetime": 600 });
        let issued = server.api.create(request).await.expect(201).issued();
        let session = open(&server, MemoryStorage::new(saved(&issued))).await;
        server.advance(600);
        assert_eq!(session_over(&session, &server).await, SessionOver::LifetimeExceeded);
    }

    async fn session_ends_when_its_token_expired_before_a_renewal(server: TestServer) {
        let issued = open_session(&server).await;
        let session = open(&server, MemoryStorage::new(saved(&issued))).await;
        server.advance(DAY);
        assert_eq!(session_over(&session, &server).await, SessionOver::Expired);
    }

    async fn token_renewed_elsewhere_is_adopted_from_storage_or_ends_the_session(server: TestServer) {
        let issued = open_session(&server).await;
        let storage = MemoryStorage::new(saved(&issued));
        let session = open(&server, storage.clone()).await;
        let stranger = open(&server, MemoryStorage::new(saved(&issued))).await;
        server.advance(DAY / 2);
        let renewed = server.api.renew(&issued.id, &issued.token).await.expect(200).issued();
        let before = storage.load().await.unwrap();
        storage.replace(&before, &saved(&renewed)).await.unwrap();
        assert_eq!(get_ok(&session, &server).await["renewalCount"], 1);
        assert_eq!(session_over(&stranger, &server).await, SessionOver::Superseded);
    }

    async fn client_clock_ahead_of_the_server_keeps_the_session(server: TestServer) {
        let issued = open_session(&server).await;
        let ahead = tower_session_auth::clock::ManualClock::new(tower_session_auth::clock::Timestamp(server.now() + 2 * DAY));
        let session = ClientSession::builder(http_client(), base(server.address))
            .clock(ahead)
            .open(MemoryStorage::new(saved(&issued)))
            .await
            .unwrap();
        assert_eq!(get_ok(&session, &server).await["renewalCount"], 0);
    }
}

/// A session file, removed on drop together with its lock and temporary file.
struct TestFile(PathBuf);

impl TestFile {
    fn new(session: &SavedSession) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("session-{}-{number}.json", std::process::id()));
        std::fs::write(&path, serde_json::to_vec(session).unwrap()).unwrap();
        Self(path)
    }

    fn storage(&self) -> FileStorage {
        FileStorage::new(&self.0)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        for extension in ["", ".lock", ".new"] {
            let _ = std::fs::remove_file(format!("{}{extension}", self.0.display()));
        }
    }
}

/// Simulates a process that is killed at the n-th write: that write never returns.
#[derive(Clone)]
struct CrashingStorage {
    file: FileStorage,
    writes: Arc<AtomicUsize>,
    fatal: usize,
    /// True if the fatal write reaches the disk.
    after: bool,
}

impl SessionStorage for CrashingStorage {
    async fn load(&self) -> Result<SavedSession, BoxError> {
        self.file.load().await
    }

    async fn replace(&self, expected: &SavedSession, next: &SavedSession) -> Result<SavedSession, BoxError> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if write < self.fatal || write == self.fatal && self.after {
            let kept = self.file.replace(expected, next).await?;
            if write < self.fatal {
                return Ok(kept);
            }
        }
        std::future::pending().await
    }
}

#[tokio::test]
async fn session_survives_a_crash_before_or_after_each_write() {
    let server = TestServer::memory().await;
    // Write 1 saves the idempotency key, write 2 the new token.
    for (fatal, after, renewals) in [(1, false, 0), (1, true, 0), (2, false, 1), (2, true, 1)] {
        let issued = open_session(&server).await;
        let file = TestFile::new(&saved(&issued));
        let storage = CrashingStorage {
            file: file.storage(),
            writes: Arc::default(),
            fatal,
            after,
        };
        let crashed = open(&server, storage.clone()).await;
        server.advance(DAY * 8 / 10);
        let waiting = tokio::spawn(async move { crashed.fresh_token().await.map(drop) });
        while storage.writes.load(Ordering::SeqCst) < fatal {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        waiting.abort();
        let path = format!("/v1/sessions/{}", issued.id);
        let before = server
            .api
            .master(http::Method::GET, &path, None)
            .await
            .expect(200);
        assert_eq!(before.number("renewalCount"), renewals);
        // The next process starts within the retry window.
        server.advance(30);
        let session = open(&server, file.storage()).await;
        session.fresh_token().await.unwrap();
        assert_eq!(
            get_ok(&session, &server).await["renewalCount"],
            1,
            "{fatal} {after}"
        );
        assert_eq!(file.storage().load().await.unwrap().pending_key, None);
    }
}

#[tokio::test]
async fn processes_that_share_a_file_renew_once() {
    let server = TestServer::memory().await;
    let issued = open_session(&server).await;
    let file = TestFile::new(&saved(&issued));
    let mut siblings = Vec::new();
    for _ in 0..8 {
        siblings.push(open(&server, file.storage()).await);
    }
    for renewals in 1..=3 {
        server.advance(DAY * 8 / 10);
        let renewed: Vec<_> = siblings
            .iter()
            .map(|session| {
                let session = session.clone();
                tokio::spawn(async move { session.fresh_token().await.unwrap() })
            })
            .collect();
        for token in renewed {
            token.await.unwrap();
        }
        for session in &siblings {
            assert_eq!(get_ok(session, &server).await["renewalCount"], renewals);
        }
    }
}

#[tokio::test]
async fn file_is_replaced_only_if_it_holds_the_expected_session() {
    let server = TestServer::memory().await;
    let [first, second, third] = [
        open_session(&server).await,
        open_session(&server).await,
        open_session(&server).await,
    ]
    .map(|s| saved(&s));
    let file = TestFile::new(&first);
    assert_eq!(file.storage().replace(&second, &third).await.unwrap(), first);
    assert_eq!(file.storage().load().await.unwrap(), first);
    assert_eq!(file.storage().replace(&first, &second).await.unwrap(), second);
    assert_eq!(file.storage().load().await.unwrap(), second);

    std::fs::write(&file.0, "{\"token\":\"wai_sess_secret\"}").unwrap();
    for error in [
        file.storage().load().await.unwrap_err(),
        file.storage().replace(&second, &third).await.unwrap_err(),
    ] {
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(
            error.to_string().contains("session-"),
            "the error names the file: {error}"
        );
    }
}

#[tokio::test]
async fn reload_adopts_a_newly_saved_session() {
    let server = TestServer::memory().await;
    let issued = open_session(&server).await;
    let file = TestFile::new(&saved(&issued));
    let session = open(&server, file.storage()).await;
    server.api.revoke(&issued.id).await.expect(200);
    assert_eq!(session_over(&session, &server).await, SessionOver::Revoked);
    let another = open_session(&server).await;
    file.storage().save(&saved(&another)).await.unwrap();
    session.reload().await.unwrap();
    assert_eq!(get_ok(&session, &server).await["id"], another.id.as_str());
}

/// With `on_reuse = "revoke"`, a client that sent a replaced token would end its own session.
#[tokio::test]
async fn idle_sibling_is_not_treated_as_token_reuse() {
    let revoking = |settings: &mut session_auth_server::config::Settings| {
        settings.on_reuse = Some(tower_session_auth::session::OnReuse::Revoke);
    };
    for server in [
        TestServer::memory_with(revoking).await,
        TestServer::redis_with(revoking).await,
    ] {
        let storage = MemoryStorage::new(saved(&open_session(&server).await));
        let (awake, asleep) = (open(&server, storage.clone()).await, open(&server, storage).await);
        server.advance(DAY * 8 / 10);
        awake.fresh_token().await.unwrap();
        server.advance(120);
        assert_eq!(get_ok(&asleep, &server).await["renewalCount"], 1);
        assert_eq!(get_ok(&awake, &server).await["renewalCount"], 1);
    }
}
