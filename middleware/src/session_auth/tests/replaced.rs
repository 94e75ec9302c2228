//! Tokens that were replaced: let pass in their overlap, and watched afterwards.

use super::*;
use crate::{
    ErrorKind, MemoryStore,
    security::SecurityEvents,
    session::{OnReuse, OnSessionLimit, ReplacedTokenPolicy},
    store::{CreateOutcome, NewSession, SessionStore, StoreError},
    testing::{TTL, kind, pass},
};

/// A session that was renewed at `NOW` from the token of `claims()`.
fn renewed_now() -> SessionRecord {
    SessionRecord {
        last_renewed_at: Some(NOW),
        previous_token_hash: Some(sign(&claims()).hash()),
        ..renewed()
    }
}

/// Without any grace, unless `adjust` says otherwise.
fn rotation(adjust: impl FnOnce(&mut ReplacedTokenPolicy)) -> ReplacedTokenPolicy {
    let mut rotation = ReplacedTokenPolicy {
        retry_window: 0,
        ..ReplacedTokenPolicy::default()
    };
    adjust(&mut rotation);
    rotation
}

async fn store_with(record: &SessionRecord) -> MemoryStore {
    let store = MemoryStore::new();
    let session = NewSession {
        record: record.clone(),
        limit: 1,
        on_limit: OnSessionLimit::Refuse,
        retention: TTL,
        now: NOW,
    };
    assert_eq!(store.create(&session).await.unwrap(), CreateOutcome::Done);
    store
}

#[tokio::test]
async fn in_its_overlap_the_token_before_passes_and_is_marked() {
    let overlap = rotation(|rotation| rotation.previous_token_overlap = 5);
    for (now, passes) in [(NOW.plus(4), true), (NOW.plus(5), false)] {
        let layer = access(Stub::answering(Ok(Some(renewed_now()))));
        let layer = layer.rotation(overlap).clock(ManualClock::new(now));
        match pass(&layer, request(&claims())).await {
            Ok(given) => {
                assert!(passes);
                let session: &AuthenticatedSession = given.extensions().get().unwrap();
                assert!(session.previous_token);
                assert_eq!((session.generation, session.expires_at), (1, claims().expires_at));
            }
            Err(refusal) => {
                assert!(!passes);
                assert_eq!(kind(&refusal), ErrorKind::TokenSuperseded);
            }
        }
        let current = Claims {
            generation: 1,
            ..claims()
        };
        let given = pass(&layer, request(&current)).await.unwrap();
        assert!(
            !given
                .extensions()
                .get::<AuthenticatedSession>()
                .unwrap()
                .previous_token
        );
    }
}

#[tokio::test]
async fn reuse_is_refused_and_counted_and_revokes_when_it_is_to() {
    for (on_reuse, revoked_at) in [(OnReuse::Reject, None), (OnReuse::Revoke, Some(NOW))] {
        let store = store_with(&renewed_now()).await;
        let events = SecurityEvents::new();
        let layer = SessionAuthLayer::new(verifier(), store.clone())
            .clock(ManualClock::new(NOW))
            .rotation(rotation(|rotation| rotation.on_reuse = on_reuse))
            .events(events.clone());
        let refusal = pass(&layer, request(&claims())).await.unwrap_err();
        assert_eq!(kind(&refusal), ErrorKind::TokenSuperseded);
        assert_eq!((events.token_reuse(), events.state_lost()), (1, 0));
        let kept = store.read(claims().session_id).await.unwrap().unwrap();
        assert_eq!(kept.revoked_at, revoked_at, "{on_reuse:?}");
    }
}

#[tokio::test]
async fn inside_the_retry_window_nothing_is_counted() {
    let store = store_with(&renewed_now()).await;
    let events = SecurityEvents::new();
    let mut rotation = rotation(|rotation| rotation.on_reuse = OnReuse::Revoke);
    rotation.retry_window = 1;
    let layer = SessionAuthLayer::new(verifier(), store.clone())
        .clock(ManualClock::new(NOW))
        .rotation(rotation)
        .events(events.clone());
    let refusal = pass(&layer, request(&claims())).await.unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::TokenSuperseded);
    assert_eq!(events.token_reuse(), 0);
    let kept = store.read(claims().session_id).await.unwrap().unwrap();
    assert_eq!(kept.revoked_at, None);
}

#[tokio::test]
async fn a_token_ahead_of_the_store_is_refused_and_counted_and_revokes_nothing() {
    let store = store_with(&record(&claims())).await;
    let events = SecurityEvents::new();
    let layer = SessionAuthLayer::new(verifier(), store.clone())
        .clock(ManualClock::new(NOW))
        .rotation(rotation(|rotation| rotation.on_reuse = OnReuse::Revoke))
        .events(events.clone());
    let ahead = Claims {
        generation: 1,
        ..claims()
    };
    let refusal = pass(&layer, request(&ahead)).await.unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::SessionStateLost);
    assert_eq!(refusal.status(), 401);
    let challenge = crate::testing::header(&refusal, header::WWW_AUTHENTICATE);
    assert_eq!(
        challenge,
        Some("Bearer realm=\"session\", error=\"invalid_token\"")
    );
    assert_eq!((events.token_reuse(), events.state_lost()), (0, 1));
    let kept = store.read(claims().session_id).await.unwrap().unwrap();
    assert_eq!(kept.revoked_at, None);
}

#[tokio::test]
async fn a_revocation_that_fails_lets_nobody_pass() {
    // Reads the record first, then fails.
    let stub = Stub::failing_after(Ok(Some(renewed_now())), StoreError::Timeout);
    let layer = access(stub).rotation(rotation(|rotation| rotation.on_reuse = OnReuse::Revoke));
    let refusal = pass(&layer, request(&claims())).await.unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::TokenSuperseded);
}
