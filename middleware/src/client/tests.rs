//! What only shows without a network: idle sessions, storages that fail or hang, and shared capacity.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::{
    AuthError, ErrorKind,
    clock::{ManualClock, Timestamp},
    response::problem_response,
    test_support::{NOW, claims},
    token::SessionToken,
};

const TTL: u64 = 100;

fn saved(token: &str, from: u64) -> SavedSession {
    let token = SessionToken::from_bearer(token);
    SavedSession::new(
        claims().session_id,
        token,
        NOW.plus(from + TTL),
        NOW.plus(from + 60),
    )
}

/// A session server that takes the token "1" for the current one until it has renewed it to "2".
#[derive(Clone, Default)]
struct Server {
    renewals: Arc<AtomicU32>,
    /// What it says to further renewals first.
    refusals: Arc<Mutex<Vec<ErrorKind>>>,
}

impl Server {
    fn http(
        &self,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Response<Full<Bytes>>,
        Error = BoxError,
        Future: Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send,
    > + Clone
    + Send
    + Sync
    + 'static {
        let server = self.clone();
        service_fn(move |request: Request<Full<Bytes>>| {
            let response = server.answer(&request);
            async { Ok(response) }
        })
    }

    fn answer(&self, request: &Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        let refuse = |kind| problem_response(&AuthError::token(kind), "api", request.headers());
        let bearer = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        if request.method() == http::Method::PUT {
            if let Some(kind) = self.refusals.lock().unwrap().pop() {
                return refuse(kind);
            }
            assert!(request.headers().contains_key("idempotency-key"));
            assert_eq!(bearer, "Bearer 1");
            self.renewals.fetch_add(1, Ordering::SeqCst);
            return Response::new(Full::from(serde_json::to_vec(&saved("2", 60)).unwrap()));
        }
        let current = if self.renewed() == 0 {
            "Bearer 1"
        } else {
            "Bearer 2"
        };
        match bearer == current {
            true => Response::new(Full::from("hello")),
            false => refuse(ErrorKind::TokenSuperseded),
        }
    }

    fn renewed(&self) -> u32 {
        self.renewals.load(Ordering::SeqCst)
    }

    async fn open(&self, clock: &ManualClock, storage: impl SessionStorage) -> ClientSession {
        let builder = ClientSession::builder(self.http(), "http://sessions.example".parse().unwrap());
        builder.clock(clock.clone()).open(storage).await.unwrap()
    }
}

fn clock() -> ManualClock {
    ManualClock::new(NOW)
}

fn get() -> Request<Full<Bytes>> {
    Request::get("http://api.example/").body(Full::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_renewed_when_it_is_due_and_forgotten_when_nobody_holds_it() {
    let (server, clock) = (Server::default(), clock());
    let storage = MemoryStorage::new(saved("1", 0));
    let session = server.open(&clock, storage.clone()).await;
    clock.set(NOW.plus(59));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.renewed(), 0);
    clock.set(NOW.plus(60));
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(server.renewed(), 1);
    assert_eq!(storage.load().await.unwrap(), saved("2", 60));

    drop(session);
    clock.set(NOW.plus(1_000));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.renewed(), 1);
}

/// Fails or hangs as it is told.
#[derive(Clone)]
struct Moody {
    inner: MemoryStorage,
    /// How many writes succeed.
    writes: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
    /// How many loads succeed.
    loads: Arc<AtomicU32>,
}

impl Moody {
    fn new(writes: u32, loads: u32) -> Self {
        Self {
            inner: MemoryStorage::new(saved("1", 0)),
            writes: Arc::new(AtomicU32::new(writes)),
            refused: Arc::default(),
            loads: Arc::new(AtomicU32::new(loads)),
        }
    }

    async fn refused(&self, times: u32) {
        while self.refused.load(Ordering::SeqCst) < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn spend(left: &AtomicU32) -> Result<u32, u32> {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
}

impl SessionStorage for Moody {
    async fn load(&self) -> Result<SavedSession, BoxError> {
        spend(&self.loads).map_err(|_| "cannot read")?;
        self.inner.load().await
    }

    async fn replace(&self, expected: &SavedSession, next: &SavedSession) -> Result<SavedSession, BoxError> {
        if spend(&self.writes).is_err() {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err("no space left".into());
        }
        self.inner.replace(expected, next).await
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_key_is_saved_and_no_token_given_out_before_it_is() {
    let (server, clock, storage) = (Server::default(), clock(), Moody::new(0, 1_000));
    let session = server.open(&clock, storage.clone()).await;
    clock.set(NOW.plus(60));
    assert_eq!(session.token().await.unwrap().expose(), "1");
    storage.refused(3).await;
    assert_eq!(server.renewed(), 0);

    // Room for the key, and none for the token.
    storage.writes.store(1, Ordering::SeqCst);
    storage.refused(6).await;
    assert_eq!(server.renewed(), 1);
    // The old token is dead, and the new one is not to be had.
    let waiting = tokio::time::timeout(Duration::from_secs(1), session.token());
    assert!(waiting.await.is_err());
    storage.writes.store(1, Ordering::SeqCst);
    assert_eq!(session.token().await.unwrap().expose(), "2");
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_cannot_be_read_ends_no_session() {
    let (server, clock, storage) = (Server::default(), clock(), Moody::new(1_000, 2));
    let session = server.open(&clock, storage.clone()).await;
    *server.refusals.lock().unwrap() = vec![ErrorKind::SessionRenewalMismatch];
    clock.set(NOW.plus(60));
    let renewing = tokio::spawn(async move { session.fresh_token().await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!renewing.is_finished());
    // Meanwhile a sibling has saved what it got.
    let before = storage.inner.load().await.unwrap();
    storage.inner.replace(&before, &saved("2", 60)).await.unwrap();
    storage.loads.store(1_000, Ordering::SeqCst);
    assert_eq!(renewing.await.unwrap().unwrap().expose(), "2");
    assert_eq!(server.renewed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_ends_no_session_because_an_answer_was_lost() {
    let (server, clock) = (Server::default(), clock());
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    *server.refusals.lock().unwrap() = vec![ErrorKind::StoreUnavailable; 3];
    clock.set(NOW.plus(TTL + 1));
    assert_eq!(session.token().await.unwrap().expose(), "2");

    // But when nothing is heard at all, nobody waits for ever.
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    *server.refusals.lock().unwrap() = vec![ErrorKind::StoreUnavailable; 100];
    assert_eq!(session.token().await.unwrap_err(), SessionOver::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_far_ahead_throws_no_new_token_away_and_may_be_set_back() {
    let (server, clock) = (Server::default(), clock());
    let storage = MemoryStorage::new(saved("1", 0));
    let session = server.open(&clock, storage.clone()).await;
    clock.set(NOW.plus(100 * TTL));
    assert_eq!(session.token().await.unwrap().expose(), "2");
    assert_eq!(storage.load().await.unwrap(), saved("2", 60));

    // It was ahead when it asked, and is right when the renewal is due.
    let (server, storage) = (Server::default(), MemoryStorage::new(saved("1", 0)));
    let session = server.open(&clock, storage).await;
    *server.refusals.lock().unwrap() = vec![ErrorKind::RenewalTooEarly];
    assert_eq!(session.token().await.unwrap().expose(), "1");
    clock.set(NOW.plus(60));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(session.fresh_token().await.unwrap().expose(), "2");
}

#[tokio::test(start_paused = true)]
async fn who_puts_the_old_token_back_without_the_key_stops_nothing() {
    let (server, clock, storage) = (Server::default(), clock(), Moody::new(1, 1_000));
    let session = server.open(&clock, storage.clone()).await;
    clock.set(NOW.plus(60));
    let renewing = tokio::spawn(async move { session.fresh_token().await });
    storage.refused(1).await;
    let pending = storage.inner.load().await.unwrap();
    storage.inner.replace(&pending, &saved("1", 0)).await.unwrap();
    storage.writes.store(10, Ordering::SeqCst);
    assert_eq!(renewing.await.unwrap().unwrap().expose(), "2");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_panics_is_tried_again_without_haste() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let http = service_fn(move |_: Request<Full<Bytes>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { panic!("a defect") as Result<Response<Full<Bytes>>, BoxError> }
    });
    let clock = clock();
    let session = ClientSession::builder(http, "http://sessions.example".parse().unwrap())
        .clock(clock.clone())
        .open(MemoryStorage::new(saved("1", 0)))
        .await
        .unwrap();
    clock.set(NOW.plus(2 * TTL));
    for _ in 0..100 {
        assert_eq!(session.token().await.unwrap().expose(), "1");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!((2..=31).contains(&calls.load(Ordering::SeqCst)));
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_hangs_is_given_up_and_without_handles_nothing_is_tried() {
    struct Hanging;
    impl SessionStorage for Hanging {
        async fn load(&self) -> Result<SavedSession, BoxError> {
            static LOADS: AtomicU32 = AtomicU32::new(0);
            match LOADS.fetch_add(1, Ordering::SeqCst) {
                0 => Ok(saved("1", 0)),
                _ => std::future::pending().await,
            }
        }
        async fn replace(&self, _: &SavedSession, _: &SavedSession) -> Result<SavedSession, BoxError> {
            std::future::pending().await
        }
    }
    let (server, clock) = (Server::default(), clock());
    let session = server.open(&clock, Hanging).await;
    clock.set(NOW.plus(TTL));
    assert_eq!(session.token().await.unwrap_err(), SessionOver::Expired);

    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    *server.refusals.lock().unwrap() = vec![ErrorKind::StoreUnavailable; 100];
    clock.set(NOW.plus(60));
    let _ = session.token().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(session);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let left = server.refusals.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.refusals.lock().unwrap().len(), left);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_slept_looks_for_a_siblings_token_before_it_sends_its_own() {
    let (server, clock) = (Server::default(), clock());
    let storage = MemoryStorage::new(saved("1", 0));
    let session = server.open(&clock, storage.clone()).await;
    storage.replace(&saved("1", 0), &saved("2", 60)).await.unwrap();
    clock.set(NOW.plus(60 + 30));
    assert_eq!(session.token().await.unwrap().expose(), "2");
    assert_eq!(server.renewed(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_a_renewal_is_put_off_requests_read_no_storage() {
    let (server, clock, storage) = (Server::default(), clock(), Moody::new(1_000, 1_000));
    let session = server.open(&clock, storage.clone()).await;
    *server.refusals.lock().unwrap() = vec![ErrorKind::RenewalTooEarly];
    clock.set(NOW.plus(60 + 39));
    assert_eq!(session.fresh_token().await.unwrap().expose(), "1");
    let left = storage.loads.load(Ordering::SeqCst);
    for _ in 0..100 {
        assert_eq!(session.token().await.unwrap().expose(), "1");
    }
    assert_eq!(storage.loads.load(Ordering::SeqCst), left);
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_a_renewal_do_not_hold_the_capacity_that_it_needs() {
    let (server, clock) = (Server::default(), clock());
    let shared = ServiceBuilder::new()
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(1))
        .service(server.http());
    let session = ClientSession::builder(shared.clone(), "http://sessions.example".parse().unwrap())
        .clock(clock.clone())
        .open(MemoryStorage::new(saved("1", 0)))
        .await
        .unwrap();
    clock.set(NOW.plus(TTL));
    let mut api = session.layer().layer(shared);
    let ready = api.ready().await.unwrap();
    let (one, two) = (ready.call(get()), ready.call(get()));
    let (one, two) = tokio::join!(one, two);
    assert_eq!(one.unwrap().status(), StatusCode::OK);
    assert_eq!(two.unwrap().status(), StatusCode::OK);
    assert_eq!(server.renewed(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_refused_when_it_is_opened() {
    let server = Server::default();
    for (base, token) in [
        ("/path", "1"),
        ("http://sessions.example/?a=b", "1"),
        ("http://sessions.example", "with\nbreak"),
    ] {
        let builder = ClientSession::builder(server.http(), base.parse().unwrap());
        assert!(
            builder.open(MemoryStorage::new(saved(token, 0))).await.is_err(),
            "{base}"
        );
    }
    let saved = saved("secret", 0);
    assert!(!format!("{saved:?}").contains("secret"));
    assert_eq!(saved.expires_at, Timestamp(NOW.0 + TTL));
}
