//! Layers that ask a near cache first: it lets pass, and refuses nobody.

use super::*;
use crate::{
    ErrorKind,
    security::SecurityEvents,
    store::StoreError,
    testing::{kind, pass},
};

fn bounded(store: &Stub) -> SessionAuthLayer<Stub> {
    SessionAuthLayer::bounded(verifier(), store.clone())
        .unwrap()
        .clock(ManualClock::new(NOW))
}

fn next() -> Claims {
    Claims {
        generation: 1,
        ..claims()
    }
}

#[tokio::test]
async fn a_record_in_memory_lets_pass_without_a_read() {
    let store = Stub::silent().holding(record(&claims()));
    let given = pass(&bounded(&store), request(&claims())).await.unwrap();
    let session: &AuthenticatedSession = given.extensions().get().unwrap();
    assert_eq!(session.session_id, claims().session_id);
    assert!(given.headers()[header::AUTHORIZATION].is_sensitive());
    assert_eq!(store.reads(), []);
}

#[tokio::test]
async fn a_strict_layer_does_not_ask_memory() {
    let store = Stub::answering(Ok(Some(revoked()))).holding(record(&claims()));
    let refusal = pass(&access(store), request(&claims())).await.unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::SessionRevoked);
}

/// The record in memory is that of before a renewal which another process has answered.
#[tokio::test]
async fn a_token_newer_than_memory_passes_and_raises_no_suspicion() {
    let store = Stub::answering(Ok(Some(renewed()))).holding(record(&claims()));
    let events = SecurityEvents::new();
    let layer = bounded(&store).events(events.clone());
    pass(&layer, request(&next())).await.unwrap();
    assert_eq!((events.token_reuse(), events.state_lost()), (0, 0));
    assert!(!store.reads().is_empty());
}

#[tokio::test]
async fn a_refusal_is_always_that_of_a_read_of_its_own() {
    let id = claims().session_id;
    for (held, read, expected) in [
        (record(&claims()), None, None),
        (renewed(), Some(renewed()), Some(ErrorKind::TokenSuperseded)),
        (renewed(), Some(revoked()), Some(ErrorKind::SessionRevoked)),
        (renewed(), None, Some(ErrorKind::SessionNotFound)),
    ] {
        let store = Stub::answering(Ok(read)).holding(held);
        let refusal = pass(&bounded(&store), request(&claims())).await.err();
        assert_eq!(refusal.map(|refusal| kind(&refusal)), expected);
        let reads = if expected.is_some() { vec![id] } else { vec![] };
        assert_eq!(store.reads(), reads);
    }
}

#[tokio::test]
async fn a_refusal_by_a_read_of_its_own_is_not_read_again() {
    let store = Stub::answering(Ok(Some(revoked())));
    let refusal = pass(&bounded(&store), request(&claims())).await.unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::SessionRevoked);
    assert_eq!(store.reads(), [claims().session_id]);
}

/// A second read would cost a second deadline.
#[tokio::test]
async fn a_store_that_fails_is_not_asked_again() {
    let store = Stub::answering(Err(StoreError::Timeout));
    let refusal = pass(&bounded(&store), request(&claims())).await.unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::StoreUnavailable);
    assert_eq!(store.reads().len(), 1);
}

#[tokio::test]
async fn a_token_that_expired_is_refused_whatever_is_held() {
    let store = Stub::answering(Ok(Some(record(&claims())))).holding(record(&claims()));
    let layer = bounded(&store).clock(ManualClock::new(claims().expires_at));
    let refusal = pass(&layer, request(&claims())).await.unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::TokenExpired);
}

#[tokio::test]
async fn a_strict_copy_of_a_bounded_layer_reads() {
    let store = Stub::answering(Ok(Some(revoked()))).holding(record(&claims()));
    let refusal = pass(&bounded(&store).strict(), request(&claims()))
        .await
        .unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::SessionRevoked);
    assert_eq!(store.reads().len(), 1);
}

#[test]
fn no_bounded_layer_is_built_when_the_cache_cannot_start() {
    let failure = StoreError::Unavailable("no thread".into());
    let store = Stub::silent().without_cache(failure);
    let error = SessionAuthLayer::bounded(verifier(), store).unwrap_err();
    assert!(error.to_string().contains("no thread"), "{error}");
}
