//! The order of the steps: authorization, readiness of the inner service, call. Also cancellation at each step.

use std::{
    convert::Infallible,
    future::Ready,
    task::{Context, Poll},
    time::Duration,
};

use http::Response;
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt};
use tower_test::mock::{self, SendResponse};

use super::*;
use crate::{
    ErrorKind,
    clock::Clock,
    test_support::{Body, Inner, InnerHandle, TTL, kind, poll_once},
};

fn service(store: Stub) -> (SessionAuth<Stub, Inner>, InnerHandle) {
    let (inner, handle) = mock::pair();
    (access(store).layer(inner), handle)
}

fn good_store() -> Stub {
    Stub::answering(Ok(Some(record(&claims()))))
}

/// Waits for the next request of the inner service. Returns the handle for its response.
async fn arrival(handle: &mut InnerHandle) -> SendResponse<Response<Body>> {
    let next = tokio::time::timeout(Duration::from_secs(1), handle.next_request());
    next.await
        .expect("a request reaches the inner service")
        .unwrap()
        .1
}

#[tokio::test(start_paused = true)]
async fn admitted_request_waits_until_the_inner_service_is_ready() {
    let (mut service, mut handle) = service(good_store());
    handle.allow(0);
    let future = tokio::spawn(service.call(request(&claims())));
    tokio::task::yield_now().await;
    assert!(!future.is_finished());
    handle.allow(1);
    arrival(&mut handle)
        .await
        .send_response(Response::new(Full::default()));
    assert_eq!(future.await.unwrap().unwrap().status(), 200);
}

/// A service that panics on every call, `poll_ready` included.
#[derive(Clone)]
struct Untouchable;

impl Service<Request<()>> for Untouchable {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        panic!("polled for readiness before the authorization")
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        panic!("called before the authorization")
    }
}

#[tokio::test]
async fn rejected_request_never_polls_the_inner_service_for_readiness() {
    let store = Stub::silent();
    let mut service = access(store.clone()).layer(Untouchable);
    let missing = service.ready().await.unwrap().call(Request::new(()));
    assert_eq!(missing.await.unwrap().status(), 401);

    let mut waiting = Box::pin(service.call(request(&claims())));
    assert!(poll_once(&mut waiting).await.is_pending());
    store.release(&Ok(Some(revoked())));
    assert_eq!(waiting.await.unwrap().status(), 401);
}

#[tokio::test(start_paused = true)]
async fn layer_is_always_ready_and_reserves_no_capacity() {
    let (mut service, mut handle) = service(good_store());
    handle.allow(0);
    for _ in 0..3 {
        assert!(matches!(
            poll_once(&mut service.ready()).await,
            Poll::Ready(Ok(_))
        ));
    }
    handle.allow(1);
    for _ in 0..3 {
        assert!(matches!(
            poll_once(&mut service.ready()).await,
            Poll::Ready(Ok(_))
        ));
        let rejection = service.call(Request::new(())).await.unwrap();
        assert_eq!(rejection.status(), 401);
    }
    let mut last = Box::pin(service.call(request(&claims())));
    assert!(poll_once(&mut last).await.is_pending());
    arrival(&mut handle)
        .await
        .send_response(Response::new(Full::default()));
    assert_eq!(last.await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn request_cancelled_during_the_read_never_reaches_the_inner_service() {
    let store = Stub::silent();
    let (mut service, mut handle) = service(store.clone());
    let mut future = Box::pin(service.call(request(&claims())));
    for _ in 0..3 {
        assert!(poll_once(&mut future).await.is_pending());
    }
    assert_eq!(store.waiting(), 1);
    drop(future);
    assert_eq!(store.waiting(), 0, "the read is cancelled too");
    drop(service);
    assert!(handle.next_request().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn request_cancelled_before_readiness_reserves_no_capacity() {
    let (mut service, mut handle) = service(good_store());
    handle.allow(0);
    let mut future = Box::pin(service.call(request(&claims())));
    assert!(poll_once(&mut future).await.is_pending());
    drop(future);

    handle.allow(1);
    let mut next = Box::pin(service.call(request(&claims())));
    assert!(poll_once(&mut next).await.is_pending());
    arrival(&mut handle)
        .await
        .send_response(Response::new(Full::default()));
    assert_eq!(next.await.unwrap().status(), 200);
    drop(service);
    assert!(
        handle.next_request().await.is_none(),
        "the cancelled request is never sent"
    );
}

#[tokio::test(start_paused = true)]
async fn token_that_expires_during_the_read_is_rejected() {
    let (store, clock) = (Stub::silent(), ManualClock::new(NOW));
    let (inner, mut handle): (Inner, _) = mock::pair();
    let mut service = access(store.clone()).clock(clock.clone()).layer(inner);
    let mut future = Box::pin(service.call(request(&claims())));
    assert!(poll_once(&mut future).await.is_pending());
    clock.set(clock.now().plus(TTL));
    store.release(&Ok(Some(record(&claims()))));
    let Poll::Ready(rejection) = poll_once(&mut future).await else {
        panic!("the request was admitted")
    };
    assert_eq!(kind(&rejection.unwrap()), ErrorKind::TokenExpired);
    drop(future);
    drop(service);
    assert!(handle.next_request().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_inner_service_are_forwarded_unchanged() {
    let (mut service, mut handle) = service(good_store());
    let mut future = Box::pin(service.call(request(&claims())));
    assert!(poll_once(&mut future).await.is_pending());
    arrival(&mut handle).await.send_error("from the call");
    assert_eq!(future.await.unwrap_err().to_string(), "from the call");

    handle.send_error("from its readiness");
    let error = service.call(request(&claims())).await.unwrap_err();
    assert_eq!(error.to_string(), "from its readiness");
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_are_authorized_independently() {
    let store = Stub::silent();
    let (mut service, mut handle) = service(store.clone());
    let good = tokio::spawn(service.call(request(&claims())));
    let bad = tokio::spawn(service.call(Request::new(())));
    assert_eq!(bad.await.unwrap().unwrap().status(), 401);
    store.release(&Ok(Some(record(&claims()))));
    arrival(&mut handle)
        .await
        .send_response(Response::new(Full::default()));
    assert_eq!(good.await.unwrap().unwrap().status(), 200);
}
