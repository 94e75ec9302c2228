//! Times of single steps in this process, without a network. Each is the median of many short runs.

use std::{
    cell::Cell,
    convert::Infallible,
    future::ready,
    hint::black_box,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use http::{Extensions, Request, Response, header};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tower::{Layer as _, Service, service_fn};
use tower_session_auth::{
    MemoryStore, RedisStore, SessionAuthLayer, SessionId, SessionManager, TokenVerifier,
    manager::IssuedSession,
    session::CreateSession,
    store::{CachedStore as _, SessionStore},
    token::TokenSigner,
};

use crate::{
    figures::{Figure, Target, median},
    test_sessions,
};

const RUNS: usize = 51;

/// The time of one call of the layer, relative to the time of hashing its token.
pub(crate) async fn figures(signer: &TokenSigner, url: &str, session: &IssuedSession) -> Vec<Figure> {
    let hash_micros = sha256_micros(session.token.expose());
    let verifier = TokenVerifier::new(signer.verifying_keys());
    let memory = MemoryStore::new();
    let issued = SessionManager::for_any_agent(memory.clone(), signer.clone())
        .create(CreateSession::new(test_sessions::agent_id(0)))
        .await
        .expect("create a session");
    let strict = SessionAuthLayer::new(verifier.clone(), memory);
    let strict = layer_micros(&strict, issued.token.expose());
    let figure = |name, micros: Option<f64>| {
        Figure::new(name, micros.map(|micros| micros / hash_micros), "times")
            .target(Target::AtMost(3.0))
            .note(format!(
                "{:.2} µs for the complete layer, {hash_micros:.2} µs for SHA-256 of the token alone",
                micros.unwrap_or(f64::NAN)
            ))
    };
    let store = test_sessions::open_store(url);
    let bounded = SessionAuthLayer::bounded(verifier, store.clone()).expect("enable the cache");
    wait_until_cached(&store, session.record.id).await;
    let bounded = layer_micros(&bounded, session.token.expose());
    vec![
        Figure {
            target: None,
            reached: None,
            ..figure(
                "in process, embedded store, relative to SHA-256 of the token",
                strict,
            )
        },
        figure("in process, bounded, relative to SHA-256 of the token", bounded),
    ]
}

/// Microseconds per call.
fn micros_per_call(calls: usize, mut call: impl FnMut()) -> f64 {
    let run = |_| {
        let began = Instant::now();
        (0..calls).for_each(|_| call());
        began.elapsed().as_secs_f64() * 1e6 / calls as f64
    };
    median((0..RUNS).map(run)).expect("at least one run")
}

/// Microseconds for SHA-256 of a token.
fn sha256_micros(token: &str) -> f64 {
    micros_per_call(1000, || {
        black_box(Sha256::digest(black_box(token.as_bytes())));
    })
}

/// Waits until the store has the session's record in its cache.
async fn wait_until_cached(store: &RedisStore, session: SessionId) {
    while store.cached(session).is_none() {
        store.read_through(session).await.expect("read the session");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Microseconds for one request through the layer, including its new extensions. `None` if the layer has to wait.
fn layer_micros<St: SessionStore>(layer: &SessionAuthLayer<St>, token: &str) -> Option<f64> {
    // The inner service returns the request, so that the next call reuses it.
    let returned = Rc::new(Cell::new(None));
    let inner = {
        let returned = returned.clone();
        service_fn(move |request: Request<()>| {
            returned.set(Some(request));
            ready(Ok::<_, Infallible>(
                Response::new(Full::<bytes::Bytes>::default()),
            ))
        })
    };
    let mut service = layer.layer(inner);
    let mut call = |mut request: Request<()>| {
        *request.extensions_mut() = Extensions::new();
        let response = service
            .call(request)
            .now_or_never()?
            .expect("the service is infallible");
        assert!(response.status().is_success(), "the layer must admit the request");
        returned.take()
    };
    let request = Request::get("/")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(())
        .expect("a valid request");
    let mut next_request = Some(call(request)?);
    let micros = micros_per_call(1000, || next_request = next_request.take().and_then(&mut call));
    next_request.map(|_| micros)
}
