//! Repeated renewals: the response to the first one was lost.

use super::*;
use crate::{SigningKey, TokenVerifier, session::IdempotencyKey, token::TokenSigner};

fn key(text: &str) -> IdempotencyKey {
    text.parse().unwrap()
}

impl Setup {
    async fn renew_with(&self, token: &SessionToken, text: &str) -> Result<IssuedSession, AuthError> {
        let presented = self.present(token).await;
        self.sessions.renew(&presented, Some(&key(text))).await
    }
}

#[tokio::test]
async fn repeated_renewal_gives_the_same_token_and_changes_nothing() {
    let setup = setup();
    let first = setup.create().await;
    setup.advance(TTL / 2);
    let second = setup.renew_with(&first.token, "key-number-1").await.unwrap();
    for later in [0, 30, 29] {
        setup.advance(later);
        let again = setup.renew_with(&first.token, "key-number-1").await.unwrap();
        assert_eq!(again.token.expose(), second.token.expose());
        assert_eq!(
            (again.record, again.renew_after),
            (second.record.clone(), second.renew_after)
        );
        assert_eq!(setup.sessions.get(first.record.id).await.unwrap(), second.record);
    }
    // 60 seconds after the renewal.
    setup.advance(1);
    let late = setup.renew_with(&first.token, "key-number-1").await;
    assert_kind(late, ErrorKind::SessionRenewalMismatch);
    assert_eq!(setup.rejection(&second.token).await, None);
}

#[tokio::test]
async fn renewal_is_not_repeated_without_its_key() {
    let setup = setup();
    let first = setup.create().await;
    setup.advance(TTL / 2);
    setup.renew_with(&first.token, "key-number-1").await.unwrap();
    let mismatch = ErrorKind::SessionRenewalMismatch;
    assert_kind(setup.renew(&first.token).await, mismatch);
    assert_kind(setup.renew_with(&first.token, "key-number-2").await, mismatch);
}

#[tokio::test]
async fn renewal_without_a_key_cannot_be_repeated() {
    let setup = setup();
    let first = setup.create().await;
    setup.advance(TTL / 2);
    setup.renew(&first.token).await.unwrap();
    let repeated = setup.renew_with(&first.token, "key-number-1").await;
    assert_kind(repeated, ErrorKind::SessionRenewalMismatch);
}

#[tokio::test]
async fn retry_window_ends_with_the_next_renewal_or_rotation() {
    let request = || CreateSession {
        ttl: Some(300),
        ..request()
    };
    let mut setup = setup();
    setup.sessions.policy.replaced_tokens.retry_window = 1_000;
    let first = setup.sessions.create(request()).await.unwrap();
    setup.advance(150);
    let second = setup.renew_with(&first.token, "key-number-1").await.unwrap();
    setup.advance(149);
    assert!(setup.renew_with(&first.token, "key-number-1").await.is_ok());
    let second_again = setup.renew_with(&first.token, "key-number-1").await.unwrap();
    setup.clock.set(NOW.plus(300));
    // The same key for another token is another renewal.
    let third = setup.renew_with(&second.token, "key-number-1").await.unwrap();
    assert_ne!(third.token.expose(), second_again.token.expose());
    setup.clock.set(NOW.plus(299));
    let closed = setup.renew_with(&first.token, "key-number-1").await;
    assert_kind(closed, ErrorKind::SessionRenewalMismatch);

    setup.clock.set(NOW.plus(301));
    assert!(setup.renew_with(&second.token, "key-number-1").await.is_ok());
    setup.sessions.rotate(first.record.id).await.unwrap();
    let closed = setup.renew_with(&second.token, "key-number-1").await;
    assert_kind(closed, ErrorKind::SessionRenewalMismatch);
}

#[tokio::test]
async fn concurrent_repetition_renews_once() {
    let setup = setup();
    let first = setup.create().await;
    setup.advance(TTL / 2);
    // Both read the session before either renews it, and their clocks differ.
    let presented = setup.present(&first.token).await;
    let winner = setup.sessions.renew(&presented, Some(&key("key-number-1"))).await;
    setup.advance(1);
    let loser = setup.sessions.renew(&presented, Some(&key("key-number-1"))).await;
    assert_eq!(winner.unwrap().token.expose(), loser.unwrap().token.expose());
    let other = setup.sessions.renew(&presented, Some(&key("key-number-2"))).await;
    assert_kind(other, ErrorKind::SessionRenewalMismatch);
    assert_eq!(
        setup.sessions.get(first.record.id).await.unwrap().renewal_count(),
        1
    );
}

#[tokio::test]
async fn repetition_is_rejected_after_expiry_or_revocation() {
    let mut setup = setup();
    setup.sessions.policy.replaced_tokens.retry_window = TTL;
    let first = setup.create().await;
    setup.advance(TTL - 1);
    setup.renew_with(&first.token, "key-number-1").await.unwrap();
    assert!(setup.renew_with(&first.token, "key-number-1").await.is_ok());
    let presented = setup.present(&first.token).await;
    setup.advance(1);
    let expired = setup.renew_with(&first.token, "key-number-1").await;
    assert_kind(expired, ErrorKind::TokenExpired);
    setup.sessions.revoke(first.record.id).await.unwrap();
    // The session was revoked after this record was read.
    setup.clock.set(NOW.plus(TTL - 1));
    let read_before = setup.sessions.renew(&presented, Some(&key("key-number-1"))).await;
    assert!(
        read_before.is_ok(),
        "the response was in flight when the session was revoked"
    );
    assert_eq!(
        setup.rejection(&first.token).await,
        Some(ErrorKind::SessionRevoked)
    );
}

#[tokio::test]
async fn repetition_survives_a_change_of_the_signing_key_if_the_previous_key_is_configured() {
    let setup = setup();
    let first = setup.create().await;
    setup.advance(TTL / 2);
    let second = setup.renew_with(&first.token, "key-number-1").await.unwrap();
    let presented = setup.present(&first.token).await;

    let fresh = SigningKey::generate().unwrap();
    let manager =
        |signer| SessionManager::for_any_agent(setup.store.clone(), signer).clock(setup.clock.clone());
    let rotated =
        TokenSigner::new(fresh.clone()).previous_keys([SigningKey::generate().unwrap(), test_support::key()]);
    let accepted = TokenVerifier::new(rotated.verifying_keys());
    assert!(accepted.verify(second.token.expose()).is_ok());
    let again = manager(rotated)
        .renew(&presented, Some(&key("key-number-1")))
        .await
        .unwrap();
    assert_eq!(again.token.expose(), second.token.expose());

    for without in [
        TokenSigner::new(fresh),
        TokenSigner::new(test_support::key()).issuer("another"),
    ] {
        let answer = manager(without)
            .renew(&presented, Some(&key("key-number-1")))
            .await;
        assert_kind(answer, ErrorKind::InternalError);
    }
}
