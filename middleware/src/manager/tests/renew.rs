use super::*;
use crate::{
    RejectionReason,
    session::{LastRenewal, OnReuse, ReplacedTokenPolicy},
};

#[tokio::test]
async fn renewal_replaces_the_token_at_once() {
    let setup = setup();
    let first = setup.create().await;
    setup.advance(TTL / 2);
    let second = setup.renew(&first.token).await.unwrap();
    let now = NOW.plus(TTL / 2);
    let expected = SessionRecord {
        token_hash: second.token.hash(),
        generation: 1,
        last_renewal: Some(LastRenewal::new(now, 1, ReplacedTokenPolicy::default())),
        ..first.record.clone()
    };
    assert_eq!(second.record, expected);
    assert_eq!(second.record.expires_at(), now.plus(TTL));
    assert_eq!(second.record.renewal_count(), 1);
    assert_eq!(second.record.last_renewed_at(), Some(now));
    assert!((now.plus(TTL / 2)..=now.plus(TTL / 10 * 8)).contains(&second.renew_after));
    assert_eq!(setup.sessions.get(first.record.id).await.unwrap(), expected);

    assert_eq!(
        setup.rejection(&first.token).await,
        Some(ErrorKind::TokenSuperseded)
    );
    assert_eq!(setup.rejection(&second.token).await, None);
    assert_kind(setup.renew(&first.token).await, ErrorKind::SessionRenewalMismatch);
    assert_eq!(setup.rejection(&second.token).await, None);
}

#[tokio::test]
async fn one_of_two_renewals_of_the_same_record_wins() {
    let setup = setup();
    let issued = setup.create().await;
    setup.advance(TTL / 2);
    let presented = setup.present(&issued.token).await;
    let winner = setup.sessions.renew(&presented, None).await.unwrap();
    setup.advance(1);
    let error = setup.sessions.renew(&presented, None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::SessionRenewalMismatch, RejectionReason::LostRace)
    );
    assert_eq!(setup.rejection(&winner.token).await, None);
}

#[tokio::test]
async fn change_between_read_and_swap_rejects_the_renewal() {
    let setup = setup();
    let issued = setup.create().await;
    setup.advance(TTL / 2);
    let presented = setup.present(&issued.token).await;
    setup.sessions.revoke(issued.record.id).await.unwrap();
    let error = setup.sessions.renew(&presented, None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().as_u16()),
        (ErrorKind::SessionRevoked, 401)
    );

    let elsewhere = SessionManager::for_any_agent(MemoryStore::new(), signer()).clock(setup.clock.clone());
    let error = elsewhere.renew(&presented, None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().as_u16()),
        (ErrorKind::SessionNotFound, 401)
    );
}

#[tokio::test]
async fn rejected_renewal_names_the_reason_and_the_wait() {
    let setup = setup();
    let issued = setup.create().await;
    let token = &issued.token;
    setup.advance(TTL / 2 - 7);
    let early = setup.renew(token).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::RenewalTooEarly);
    assert_eq!(early.key_id(), Some(test_support::KID));
    assert_eq!(early.session_id(), Some(issued.record.id));
    assert_eq!(early.agent_id(), Some(issued.record.agent_id));
    assert_eq!((early.status().as_u16(), early.retry_after()), (403, Some(7)));
    setup.advance(TTL / 2 + 7);
    let expired = setup.renew(token).await.unwrap_err();
    assert_eq!(
        (expired.kind(), expired.status().as_u16()),
        (ErrorKind::TokenExpired, 401)
    );
    assert_eq!(expired.retry_after(), None);
    let answer = crate::response::problem_response(&expired, "api", &http::HeaderMap::new());
    assert_eq!(
        test_support::header(&answer, header::WWW_AUTHENTICATE),
        Some("Bearer realm=\"api\", error=\"invalid_token\"")
    );
    setup.advance(LIFETIME);
    assert_kind(
        setup.renew(token).await,
        ErrorKind::SessionAbsoluteLifetimeExceeded,
    );
}

#[tokio::test]
async fn session_at_its_renewal_limit_is_admitted_until_its_last_expiry() {
    let setup = setup();
    let request = CreateSession {
        max_renewals: Some(2),
        ..request()
    };
    let mut current = setup.sessions.create(request).await.unwrap();
    for generation in 1..=2 {
        setup.advance(TTL / 2);
        current = setup.renew(&current.token).await.unwrap();
        assert_eq!(current.record.generation, generation);
    }
    setup.advance(TTL / 2);
    assert_kind(setup.renew(&current.token).await, ErrorKind::RenewalLimitReached);
    assert_eq!(setup.rejection(&current.token).await, None);
}

#[tokio::test]
async fn last_token_expires_with_the_session() {
    let setup = setup();
    let request = CreateSession {
        absolute_lifetime: Some(TTL + 10),
        ..request()
    };
    let issued = setup.sessions.create(request).await.unwrap();
    setup.advance(TTL / 2);
    let last = setup.renew(&issued.token).await.unwrap();
    assert_eq!(last.record.expires_at(), last.record.absolute_expires_at);
    // A fraction of the remaining time, not of a full ttl.
    let left = TTL / 2 + 10;
    let since = last.renew_after.since(NOW.plus(TTL / 2));
    assert!((left / 2..=left * 8 / 10).contains(&since), "{since} of {left}");
}

#[tokio::test]
async fn renewal_writes_the_rules_for_the_replaced_token_into_the_record() {
    let mut setup = setup();
    let replaced = ReplacedTokenPolicy {
        retry_window: 7,
        previous_token_overlap: 9,
        on_reuse: OnReuse::Revoke,
    };
    setup.sessions.policy.replaced_tokens = replaced;
    let first = setup.create().await;
    setup.advance(TTL / 2);
    let key = "key-number-1".parse().unwrap();
    let presented = setup.present(&first.token).await;
    let second = setup.sessions.renew(&presented, Some(&key)).await.unwrap();
    let renewal = second.record.last_renewal.clone().unwrap();
    assert_eq!(renewal.replaced, replaced);
    assert_eq!(renewal.previous_token_hash, Some(first.token.hash()));
    assert!(renewal.retry_hash.is_some());

    // A later policy applies from the next renewal on.
    setup.sessions.policy.replaced_tokens = ReplacedTokenPolicy {
        retry_window: 0,
        previous_token_overlap: 0,
        on_reuse: OnReuse::Reject,
    };
    setup.advance(6);
    let repeated = setup
        .sessions
        .renew(&setup.present(&first.token).await, Some(&key))
        .await;
    assert_eq!(repeated.unwrap().record, second.record);
    assert_eq!(setup.rejection(&first.token).await, None);

    setup.advance(TTL / 2);
    let presented = setup.present(&second.token).await;
    let third = setup.sessions.renew(&presented, Some(&key)).await.unwrap();
    let renewal = third.record.last_renewal.unwrap();
    assert_eq!(renewal.replaced, setup.sessions.policy.replaced_tokens);
    assert_eq!((renewal.previous_token_hash, renewal.retry_hash), (None, None));
}
