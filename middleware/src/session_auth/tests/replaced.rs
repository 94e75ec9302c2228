//! Replaced tokens: the previous one is admitted within its overlap. Later use is a security event.

use super::*;
use crate::{
    ErrorKind, MemoryStore,
    security::SecurityEvents,
    session::{OnReuse, ReplacedTokenPolicy, SessionPolicy},
    store::{CreateOutcome, NewSession, SessionStore, StoreError},
    test_support::{kind, pass},
};

/// A session that was renewed at `NOW` from the token of `claims()`, under these rules.
fn renewed_under(replaced: ReplacedTokenPolicy) -> SessionRecord {
    let mut record = renewed();
    let renewal = record.last_renewal.as_mut().unwrap();
    renewal.replaced = replaced;
    renewal.previous_token_hash = Some(sign(&claims()).hash());
    record
}

/// A policy without retry window and overlap, modified by `change`.
fn rules(change: impl FnOnce(&mut ReplacedTokenPolicy)) -> ReplacedTokenPolicy {
    let mut rules = ReplacedTokenPolicy {
        retry_window: 0,
        ..ReplacedTokenPolicy::default()
    };
    change(&mut rules);
    rules
}

async fn store_with(record: &SessionRecord) -> MemoryStore {
    let store = MemoryStore::new();
    let session = NewSession::new(record.clone(), &SessionPolicy::default(), NOW);
    let created = CreateOutcome::Created { evicted: Vec::new() };
    assert_eq!(store.create(&session).await.unwrap(), created);
    store
}

/// A layer over a store, and its security events. The layer reads the rules from the record.
fn layer_with_counters(store: &MemoryStore) -> (SessionAuthLayer<MemoryStore>, SecurityEvents) {
    let events = SecurityEvents::new();
    let layer = SessionAuthLayer::new(verifier(), store.clone())
        .clock(ManualClock::new(NOW))
        .events(events.clone());
    (layer, events)
}

async fn stored(store: &MemoryStore) -> SessionRecord {
    store.read(claims().session_id).await.unwrap().unwrap()
}

#[tokio::test]
async fn previous_token_is_admitted_within_its_overlap_and_marked() {
    let overlap = rules(|rules| rules.previous_token_overlap = 5);
    for (now, in_overlap) in [(NOW.plus(4), true), (NOW.plus(5), false)] {
        let layer = access(Stub::answering(Ok(Some(renewed_under(overlap)))));
        let layer = layer.clock(ManualClock::new(now));
        match pass(&layer, request(&claims())).await {
            Ok(admitted) => {
                assert!(in_overlap);
                let session: &AuthenticatedSession = admitted.extensions().get().unwrap();
                assert!(session.previous_token);
                assert_eq!((session.generation, session.expires_at), (1, claims().expires_at));
            }
            Err(rejection) => {
                assert!(!in_overlap);
                assert_eq!(kind(&rejection), ErrorKind::TokenSuperseded);
            }
        }
        let current = Claims {
            generation: 1,
            ..claims()
        };
        let admitted = pass(&layer, request(&current)).await.unwrap();
        let session: &AuthenticatedSession = admitted.extensions().get().unwrap();
        assert!(!session.previous_token);
    }
}

#[tokio::test]
async fn reuse_is_rejected_and_counted_and_revokes_if_its_record_requires_it() {
    for (on_reuse, revoked_at) in [(OnReuse::Reject, None), (OnReuse::Revoke, Some(NOW))] {
        let store = store_with(&renewed_under(rules(|rules| rules.on_reuse = on_reuse))).await;
        let (layer, events) = layer_with_counters(&store);
        let rejection = pass(&layer, request(&claims())).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::TokenSuperseded);
        assert_eq!((events.token_reuse(), events.state_lost()), (1, 0));
        assert_eq!(stored(&store).await.revoked_at, revoked_at, "{on_reuse:?}");
    }
}

#[tokio::test]
async fn replaced_token_within_the_retry_window_is_not_counted() {
    let replaced = rules(|rules| {
        rules.on_reuse = OnReuse::Revoke;
        rules.retry_window = 1;
    });
    let store = store_with(&renewed_under(replaced)).await;
    let (layer, events) = layer_with_counters(&store);
    let rejection = pass(&layer, request(&claims())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::TokenSuperseded);
    assert_eq!(events.token_reuse(), 0);
    assert_eq!(stored(&store).await.revoked_at, None);
}

#[tokio::test]
async fn token_ahead_of_the_store_is_rejected_and_counted_and_revokes_nothing() {
    let replaced = rules(|rules| rules.on_reuse = OnReuse::Revoke);
    for (record, generation) in [(record(&claims()), 1), (renewed_under(replaced), 2)] {
        let store = store_with(&record).await;
        let (layer, events) = layer_with_counters(&store);
        let ahead = Claims {
            generation,
            ..claims()
        };
        let rejection = pass(&layer, request(&ahead)).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::SessionStateLost);
        assert_eq!(rejection.status(), 401);
        assert_eq!(challenge(&rejection), CHALLENGE_INVALID);
        assert_eq!((events.token_reuse(), events.state_lost()), (0, 1));
        assert_eq!(stored(&store).await.revoked_at, None);
    }
}

#[tokio::test]
async fn reused_token_is_rejected_even_if_the_revocation_fails() {
    let replaced = rules(|rules| rules.on_reuse = OnReuse::Revoke);
    let stub = Stub::failing_after(Ok(Some(renewed_under(replaced))), StoreError::Timeout);
    let rejection = pass(&access(stub), request(&claims())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::TokenSuperseded);
}
