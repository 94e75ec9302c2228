//! Agents whose clock is wrong.

use std::time::UNIX_EPOCH;

use super::*;
use crate::{
    clock::Clock,
    test_support::{agent, sign},
    token::Claims,
};

/// The session's ttl, in seconds. It is shorter than the errors of the clocks.
const SHORT_TTL: u64 = 300;

/// A session server with a separate clock, and with real tokens.
#[derive(Clone)]
struct ClockedServer {
    clock: ManualClock,
    current: Arc<Mutex<Claims>>,
    sends_date: bool,
    early: Arc<AtomicU32>,
}

fn issued(from: Timestamp, generation: u32) -> Claims {
    Claims {
        session_id: id(),
        agent_id: agent(),
        generation,
        issued_at: from,
        expires_at: from.plus(SHORT_TTL),
    }
}

fn saved_from(claims: &Claims) -> SavedSession {
    let renew_after = claims.issued_at.plus(SHORT_TTL * 6 / 10);
    SavedSession::new(id(), sign(claims), claims.expires_at, renew_after)
}

impl ClockedServer {
    fn new(sends_date: bool) -> Self {
        Self {
            clock: ManualClock::new(NOW.plus(50)),
            current: Arc::new(Mutex::new(issued(NOW, 0))),
            sends_date,
            early: Arc::default(),
        }
    }

    fn http(&self) -> impl HttpClient {
        let server = self.clone();
        service_fn(move |request: Request<Full<Bytes>>| {
            let mut response = server.answer(&request);
            if server.sends_date {
                let now = UNIX_EPOCH + Duration::from_secs(server.clock.now().0);
                let date = httpdate::fmt_http_date(now).parse().unwrap();
                response.headers_mut().insert(header::DATE, date);
            }
            async { Ok::<_, BoxError>(response) }
        })
    }

    fn answer(&self, request: &Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap();
        let reject = |error| problem_response(&error, "api", request.headers());
        let bearer = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        if bearer != format!("Bearer {}", sign(&current).expose()) {
            return reject(AuthError::for_token(ErrorKind::TokenSuperseded));
        }
        if now >= current.expires_at {
            return reject(AuthError::for_token(ErrorKind::TokenExpired));
        }
        if request.method() != Method::PUT {
            return json(&serde_json::json!({ "id": id() }));
        }
        let renewable_from = current.issued_at.plus(SHORT_TTL / 2);
        if now < renewable_from {
            self.early.fetch_add(1, Ordering::SeqCst);
            let error = AuthError::new(ErrorKind::RenewalTooEarly);
            return reject(error.with_retry_after(renewable_from.since(now)));
        }
        *current = issued(now, current.generation + 1);
        json(&saved_from(&current))
    }
}

/// An hour of an agent whose clock differs by `error` seconds. Every token that it gets must be accepted.
async fn one_hour(error: i64, sends_date: bool) -> (u32, u32) {
    let server = ClockedServer::new(sends_date);
    let local = ManualClock::new(Timestamp(server.clock.now().0.checked_add_signed(error).unwrap()));
    let session = builder(server.http())
        .clock(local.clone())
        .open(MemoryStorage::new(saved_from(&issued(NOW, 0))))
        .await
        .unwrap();
    for second in 0..3_600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        local.advance(Duration::from_secs(1));
        server.clock.advance(Duration::from_secs(1));
        if second % 7 == 0 {
            let token = session.token().await;
            let token = token.unwrap_or_else(|over| panic!("{error} {sends_date}: {over} at {second}"));
            let request =
                Request::get("/").header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
            let response = server.answer(&request.body(Full::default()).unwrap());
            assert_eq!(
                response.status(),
                StatusCode::OK,
                "{error} {sends_date}: at {second}"
            );
        }
    }
    let renewals = server.current.lock().unwrap().generation;
    (renewals, server.early.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn agent_with_a_wrong_clock_keeps_its_session_and_renews_as_often_as_others() {
    // Ten minutes slow, two hours fast, right, a day slow, and a day fast.
    for error in [-600, 7_200, 0, -86_400, 86_400] {
        let (renewals, early) = one_hour(error, true).await;
        assert!((18..=21).contains(&renewals), "{error}: {renewals}");
        assert_eq!(early, 0, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn token_times_replace_a_missing_date() {
    for error in [-600, 7_200, 0] {
        let (renewals, early) = one_hour(error, false).await;
        assert!((18..=24).contains(&renewals), "{error}: {renewals}");
        assert!(early <= 1, "{error}: {early}");
    }
}

#[tokio::test(start_paused = true)]
async fn expiry_is_judged_by_the_servers_clock() {
    // The local clock says that the token expired almost two hours ago.
    let server = ClockedServer::new(true);
    let session = builder(server.http())
        .clock(ManualClock::new(NOW.plus(7_200)))
        .open(MemoryStorage::new(saved_from(&issued(NOW, 0))))
        .await
        .unwrap();
    assert!(session.token().await.is_ok());
    assert_eq!(server.early.load(Ordering::SeqCst), 0, "no renewal was needed");
    assert_eq!(server.current.lock().unwrap().generation, 0);
}

#[tokio::test(start_paused = true)]
async fn retry_after_as_a_date_postpones_the_renewal() {
    let now = UNIX_EPOCH + Duration::from_secs(NOW.plus(60).0);
    let [date, later] = [0, 8].map(|seconds| httpdate::fmt_http_date(now + Duration::from_secs(seconds)));
    let (server, attempts) = (Server::default(), Arc::new(Mutex::new(Vec::new())));
    let recorded = attempts.clone();
    let http = service_fn(move |request: Request<Full<Bytes>>| {
        let first = request.method() == Method::PUT && {
            let mut attempts = recorded.lock().unwrap();
            attempts.push(tokio::time::Instant::now());
            attempts.len() == 1
        };
        let mut response = if first {
            problem_response(&AuthError::new(ErrorKind::Overloaded), "api", request.headers())
        } else {
            server.answer(request.method(), request.uri().path(), request.headers())
        };
        if first {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, later.parse().unwrap());
            response.headers_mut().insert(header::DATE, date.parse().unwrap());
        }
        async { Ok::<_, BoxError>(response) }
    });
    let clock = clock();
    let session = builder(http)
        .clock(clock.clone())
        .open(MemoryStorage::new(saved("1", 0)))
        .await
        .unwrap();
    clock.set(NOW.plus(60));
    assert_eq!(session.fresh_token().await.unwrap().expose(), "2");
    let attempts = attempts.lock().unwrap();
    let pause = (attempts[1] - attempts[0]).as_secs_f64();
    assert!((8.0..9.0).contains(&pause), "{pause}");
}
