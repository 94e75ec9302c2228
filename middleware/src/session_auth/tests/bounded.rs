//! Bounded layers: a cached record can only admit a request.

use super::*;
use crate::{
    ErrorKind,
    security::SecurityEvents,
    store::StoreError,
    test_support::{kind, pass},
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
async fn cached_record_admits_without_a_read() {
    let store = Stub::silent().with_cached(record(&claims()));
    let admitted = pass(&bounded(&store), request(&claims())).await.unwrap();
    let session: &AuthenticatedSession = admitted.extensions().get().unwrap();
    assert_eq!(session.session_id, claims().session_id);
    assert!(admitted.headers()[header::AUTHORIZATION].is_sensitive());
    assert_eq!(store.reads(), []);
}

#[tokio::test]
async fn strict_layer_ignores_the_cache() {
    let store = Stub::answering(Ok(Some(revoked()))).with_cached(record(&claims()));
    let rejection = pass(&access(store), request(&claims())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::SessionRevoked);
}

/// The cached record is older than a renewal in another process.
#[tokio::test]
async fn token_newer_than_the_cached_record_is_admitted_without_a_security_event() {
    let store = Stub::answering(Ok(Some(renewed()))).with_cached(record(&claims()));
    let events = SecurityEvents::new();
    let layer = bounded(&store).events(events.clone());
    pass(&layer, request(&next())).await.unwrap();
    assert_eq!((events.token_reuse(), events.state_lost()), (0, 0));
    assert!(!store.reads().is_empty());
}

#[tokio::test]
async fn every_rejection_is_confirmed_by_a_read() {
    let id = claims().session_id;
    for (cached, read, expected) in [
        (record(&claims()), None, None),
        (renewed(), Some(renewed()), Some(ErrorKind::TokenSuperseded)),
        (renewed(), Some(revoked()), Some(ErrorKind::SessionRevoked)),
        (renewed(), None, Some(ErrorKind::SessionNotFound)),
    ] {
        let store = Stub::answering(Ok(read)).with_cached(cached);
        let rejection = pass(&bounded(&store), request(&claims())).await.err();
        assert_eq!(rejection.map(|rejection| kind(&rejection)), expected);
        let reads = if expected.is_some() { vec![id] } else { vec![] };
        assert_eq!(store.reads(), reads);
    }
}

#[tokio::test]
async fn rejection_after_a_cache_miss_is_not_confirmed_again() {
    let store = Stub::answering(Ok(Some(revoked())));
    let rejection = pass(&bounded(&store), request(&claims())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::SessionRevoked);
    assert_eq!(store.reads(), [claims().session_id]);
}

#[tokio::test]
async fn expired_token_is_rejected_despite_a_cached_record() {
    let store = Stub::answering(Ok(Some(record(&claims())))).with_cached(record(&claims()));
    let layer = bounded(&store).clock(ManualClock::new(claims().expires_at));
    let rejection = pass(&layer, request(&claims())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::TokenExpired);
}

#[tokio::test]
async fn strict_copy_of_a_bounded_layer_reads_the_store() {
    let store = Stub::answering(Ok(Some(revoked()))).with_cached(record(&claims()));
    let rejection = pass(&bounded(&store).strict(), request(&claims()))
        .await
        .unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::SessionRevoked);
    assert_eq!(store.reads().len(), 1);
}

#[test]
fn bounded_layer_is_not_built_if_the_cache_cannot_start() {
    let failure = StoreError::Unavailable("no thread".into());
    let store = Stub::silent().failing_to_enable_cache(failure);
    let error = SessionAuthLayer::bounded(verifier(), store).unwrap_err();
    assert!(error.to_string().contains("no thread"), "{error}");
}
