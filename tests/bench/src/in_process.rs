//! Single steps in this process, without a network: medians of many short runs.

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
    RedisStore, SessionAuthLayer, SessionId,
    store::{CachedStore as _, SessionStore},
};

use crate::figures::median;

const RUNS: usize = 51;

/// Microseconds that one call takes.
fn micros(calls: usize, mut call: impl FnMut()) -> f64 {
    let run = |_| {
        let began = Instant::now();
        (0..calls).for_each(|_| call());
        began.elapsed().as_secs_f64() * 1e6 / calls as f64
    };
    median((0..RUNS).map(run)).expect("runs")
}

/// SHA-256 of a token.
pub(crate) fn hash(token: &str) -> f64 {
    micros(1000, || {
        black_box(Sha256::digest(black_box(token.as_bytes())));
    })
}

/// Waits until the store holds the session's record in this process.
pub(crate) async fn hold(store: &RedisStore, session: SessionId) {
    while store.cached(session).is_none() {
        store.read_through(session).await.expect("a record");
        sleep(Duration::from_millis(1)).await;
    }
}

/// A request through the layer and back, the creation of its extensions included; `None` when the layer has to wait.
pub(crate) fn pass<St: SessionStore>(layer: &SessionAuthLayer<St>, token: &str) -> Option<f64> {
    // The inner service gives the request back, so that the next pass need not build one.
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
    let mut pass = |mut request: Request<()>| {
        *request.extensions_mut() = Extensions::new();
        let response = service.call(request).now_or_never()?.expect("infallible");
        assert!(response.status().is_success(), "the layer lets it pass");
        returned.take()
    };
    let request = Request::get("/")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(())
        .expect("a request");
    let mut waiting = Some(pass(request)?);
    let micros = micros(1000, || waiting = waiting.take().and_then(&mut pass));
    waiting.map(|_| micros)
}
