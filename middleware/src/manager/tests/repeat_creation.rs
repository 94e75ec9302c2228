//! Repeated creations: the response to the first one was lost.

use super::*;
use crate::{
    SigningKey,
    error::Challenge,
    session::{CreationKey, OnSessionLimit},
    store::RegisterOutcome,
    token::TokenSigner,
};

fn key(text: &str) -> CreationKey {
    CreationKey::new(text.parse().unwrap())
}

fn request_with(key: CreationKey) -> CreateSession {
    CreateSession {
        idempotency_key: Some(key),
        ..request()
    }
}

impl Setup {
    async fn create_with(&self, text: &str) -> Result<IssuedSession, AuthError> {
        self.sessions.create(request_with(key(text))).await
    }
}

#[track_caller]
fn assert_key_reused<T: std::fmt::Debug>(result: Result<T, AuthError>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ValidationFailed);
    assert_eq!(error.issues()[0].path, "Idempotency-Key");
}

#[tokio::test]
async fn repeated_creation_gives_the_same_token_until_the_window_ends() {
    let setup = setup();
    let first = setup.create_with("key-number-1").await.unwrap();
    for later in [0, 30, 29] {
        setup.advance(later);
        let again = setup.create_with("key-number-1").await.unwrap();
        assert_eq!(again.token.expose(), first.token.expose());
        assert_eq!(
            (&again.record, again.renew_after),
            (&first.record, first.renew_after)
        );
    }
    setup.advance(1);
    let next = setup.create_with("key-number-1").await.unwrap();
    assert_ne!(next.record.id, first.record.id);
    assert_eq!(setup.rejection(&first.token).await, None);
}

#[tokio::test]
async fn administrators_with_the_same_key_do_not_share_a_session_or_an_agent() {
    let store = MemoryStore::new();
    let sessions = SessionManager::new(store.clone(), signer()).clock(ManualClock::new(NOW));
    store
        .register(&Agent::new(test_support::agent(), NOW))
        .await
        .unwrap();
    let text = "key-number-1".parse::<crate::session::IdempotencyKey>().unwrap();
    let keys = [
        CreationKey::new(text.clone()),
        CreationKey::of_administrator(text.clone(), "ci"),
        CreationKey::of_administrator(text, "deploy"),
    ];
    let (mut created, mut agents) = (Vec::new(), Vec::new());
    for key in keys.iter().chain(&keys) {
        created.push(
            sessions
                .create(request_with(key.clone()))
                .await
                .unwrap()
                .record
                .id,
        );
        let request = RegisterAgent {
            idempotency_key: Some(key.clone()),
            ..RegisterAgent::default()
        };
        agents.push(sessions.register_agent(request).await.unwrap().id);
    }
    assert_eq!(created[..3], created[3..]);
    assert_eq!(agents[..3], agents[3..]);
    assert!(created[0] != created[1] && created[1] != created[2] && created[0] != created[2]);
    assert!(agents[0] != agents[1] && agents[1] != agents[2] && agents[0] != agents[2]);
}

#[tokio::test]
async fn key_with_another_request_is_rejected() {
    let setup = setup();
    setup.create_with("key-number-1").await.unwrap();
    let other = CreateSession {
        max_renewals: Some(3),
        ..request_with(key("key-number-1"))
    };
    assert_key_reused(setup.sessions.create(other).await);
}

#[tokio::test]
async fn repetition_answers_from_the_record_after_a_change_of_the_policy() {
    let mut setup = setup();
    let first = setup.create_with("key-number-1").await.unwrap();
    setup.sessions.policy.ttl = 600;
    setup.sessions.policy.max_sessions_per_agent = 1;
    setup.sessions.policy.on_session_limit = OnSessionLimit::EvictOldest;
    let again = setup.create_with("key-number-1").await.unwrap();
    assert_eq!(again.token.expose(), first.token.expose());
    assert_eq!(again.record, first.record);
}

#[tokio::test]
async fn replaced_expired_or_revoked_token_is_not_issued_again() {
    let mut setup = setup();
    setup.sessions.policy.replaced_tokens.retry_window = 10 * TTL;
    let renewed = setup.create_with("key-number-1").await.unwrap();
    let rotated = setup.create_with("key-number-2").await.unwrap();
    let revoked = setup.create_with("key-number-3").await.unwrap();
    let short = CreateSession {
        absolute_lifetime: Some(TTL),
        ..request_with(key("key-number-4"))
    };
    setup.sessions.create(short.clone()).await.unwrap();
    setup.advance(TTL / 2);
    setup.renew(&renewed.token).await.unwrap();
    setup.sessions.rotate(rotated.record.id).await.unwrap();
    setup.sessions.revoke(revoked.record.id).await.unwrap();
    let message = async |text: &str| {
        let error = setup.create_with(text).await.unwrap_err();
        assert_key_reused(Err::<(), _>(error.clone()));
        assert_eq!(
            (error.status().as_u16(), error.challenge()),
            (400, Challenge::None)
        );
        error.issues()[0].message.clone()
    };
    let (superseded, over) = (
        "belongs to a session that was renewed or rotated since",
        "belongs to a session that was revoked",
    );
    assert_eq!(message("key-number-1").await, superseded);
    assert_eq!(message("key-number-2").await, superseded);
    assert_eq!(message("key-number-3").await, over);
    setup.advance(TTL / 2);
    let expired = "belongs to a session that has expired";
    assert_eq!(message("key-number-1").await, superseded);
    assert_eq!(message("key-number-2").await, expired);
    assert_eq!(message("key-number-3").await, over);
    let exceeded = setup.sessions.create(short).await.unwrap_err();
    assert_eq!(exceeded.issues()[0].message, expired);
    // The record is removed a day after the expiry.
    setup.advance(TTL);
    assert_kind(
        setup.create_with("key-number-2").await,
        ErrorKind::SessionNotFound,
    );
}

#[tokio::test]
async fn repetition_needs_the_key_that_signed_the_token() {
    let setup = setup();
    let first = setup.create_with("key-number-1").await.unwrap();
    let unknown = TokenSigner::new(SigningKey::generate().unwrap());
    let without = setup.sessions.clone();
    let without = SessionManager {
        signer: unknown.clone(),
        ..without
    };
    let repeated = without.create(request_with(key("key-number-1"))).await;
    assert_kind(repeated, ErrorKind::InternalError);
    let signer = unknown.previous_keys([test_support::key()]);
    let with = SessionManager { signer, ..without };
    let repeated = with.create(request_with(key("key-number-1"))).await.unwrap();
    assert_eq!(repeated.token.expose(), first.token.expose());
}

/// The id of a session may be up to one second ahead of the clock.
#[tokio::test]
async fn token_is_issued_at_the_creation_time_in_the_id() {
    let setup = setup();
    setup.advance(1);
    setup.create().await;
    setup.clock.set(NOW);
    let first = setup.create_with("key-number-1").await.unwrap();
    let verified = verifier().verify(first.token.expose()).unwrap();
    assert_eq!(verified.claims().issued_at, first.record.created_at());
    let again = setup.create_with("key-number-1").await.unwrap();
    assert_eq!(again.token.expose(), first.token.expose());
}

#[tokio::test]
async fn repeated_registration_gives_the_same_agent_unless_it_was_deleted() {
    let (store, clock) = (MemoryStore::new(), ManualClock::new(NOW));
    let sessions = SessionManager::new(store.clone(), signer()).clock(clock.clone());
    let request = |name: &str| RegisterAgent {
        name: Some(name.to_owned()),
        idempotency_key: Some(key("key-number-1")),
        ..RegisterAgent::default()
    };
    let first = sessions.register_agent(request("a")).await.unwrap();
    clock.advance(Duration::from_secs(59));
    assert_eq!(sessions.register_agent(request("a")).await.unwrap(), first);
    assert_key_reused(sessions.register_agent(request("b")).await);
    store.delete_agent(first.id, clock.now()).await.unwrap();
    let deleted = sessions.register_agent(request("a")).await;
    assert_kind(deleted, ErrorKind::AgentNotFound);
    assert_eq!(store.agent(first.id).await.unwrap(), None);
    clock.advance(Duration::from_secs(1));
    let next = sessions.register_agent(request("a")).await.unwrap();
    assert_ne!(next.id, first.id);
}

/// The first attempt reserved the id and then failed.
#[tokio::test]
async fn reserved_agent_is_registered_by_the_repetition() {
    let (store, clock) = (MemoryStore::new(), ManualClock::new(NOW));
    let sessions = SessionManager::new(store.clone(), signer()).clock(clock.clone());
    let request = || RegisterAgent {
        idempotency_key: Some(key("key-number-1")),
        ..RegisterAgent::default()
    };
    let first = sessions.register_agent(request()).await.unwrap();
    // As before the registration.
    let fresh = MemoryStore::new();
    let hash = crate::session::RequestHash::of_agent(None, None);
    let id = crate::session::CreationId::of_agent(&key("key-number-1"));
    let retry = crate::store::CreationRetry::new(id, hash, NOW.plus(60));
    let reservation = crate::store::AgentReservation::new(retry, first.id, NOW);
    fresh.reserve(&reservation).await.unwrap();
    clock.advance(Duration::from_secs(2));
    let sessions = SessionManager::new(fresh.clone(), signer()).clock(clock);
    assert_eq!(sessions.register_agent(request()).await.unwrap(), first);
    assert_eq!(
        fresh.register(&first).await.unwrap(),
        RegisterOutcome::Exists(first)
    );
}
