use super::*;

#[tokio::test]
async fn a_renewal_replaces_the_token_at_once() {
    let setup = setup();
    let first = setup.open().await;
    setup.advance(TTL / 2);
    let second = setup.renew(&first.token).await.unwrap();
    let now = NOW.plus(TTL / 2);
    let expected = SessionRecord {
        token_hash: second.token.hash(),
        generation: 1,
        renewal_count: 1,
        expires_at: now.plus(TTL),
        last_renewed_at: Some(now),
        ..first.record.clone()
    };
    assert_eq!(second.record, expected);
    assert!((now.plus(TTL / 2)..=now.plus(TTL / 10 * 8)).contains(&second.renew_after));
    assert_eq!(setup.sessions.get(first.record.id).await.unwrap(), expected);

    assert_eq!(
        setup.refusal(&first.token).await,
        Some(ErrorKind::TokenSuperseded)
    );
    assert_eq!(setup.refusal(&second.token).await, None);
    assert_kind(setup.renew(&first.token).await, ErrorKind::SessionRenewalMismatch);
    assert_eq!(setup.refusal(&second.token).await, None);
}

#[tokio::test]
async fn of_two_renewals_with_the_same_reading_one_wins() {
    let setup = setup();
    let issued = setup.open().await;
    setup.advance(TTL / 2);
    let presented = setup.present(&issued.token).await;
    let winner = setup.sessions.renew(&presented, None).await.unwrap();
    setup.advance(1);
    assert_kind(
        setup.sessions.renew(&presented, None).await,
        ErrorKind::SessionRenewalMismatch,
    );
    assert_eq!(setup.refusal(&winner.token).await, None);
}

#[tokio::test]
async fn what_happened_between_the_reading_and_the_swap_counts() {
    let setup = setup();
    let issued = setup.open().await;
    setup.advance(TTL / 2);
    let presented = setup.present(&issued.token).await;
    setup.sessions.revoke(issued.record.id).await.unwrap();
    let error = setup.sessions.renew(&presented, None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().as_u16()),
        (ErrorKind::SessionRevoked, 401)
    );

    let elsewhere = SessionManager::new(MemoryStore::new(), signer()).clock(setup.clock.clone());
    let error = elsewhere.renew(&presented, None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().as_u16()),
        (ErrorKind::SessionNotFound, 401)
    );
}

#[tokio::test]
async fn refusals_say_when_and_why() {
    let setup = setup();
    let issued = setup.open().await;
    let token = &issued.token;
    setup.advance(TTL / 2 - 7);
    let early = setup.renew(token).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::RenewalTooEarly);
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
        testing::header(&answer, header::WWW_AUTHENTICATE),
        Some("Bearer realm=\"api\", error=\"invalid_token\"")
    );
    setup.advance(LIFETIME);
    assert_kind(
        setup.renew(token).await,
        ErrorKind::SessionAbsoluteLifetimeExceeded,
    );
}

#[tokio::test]
async fn a_session_can_be_renewed_until_its_limit_and_used_until_its_last_expiry() {
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
    assert_eq!(setup.refusal(&current.token).await, None);
}

#[tokio::test]
async fn the_last_token_ends_with_the_session() {
    let setup = setup();
    let request = CreateSession {
        absolute_lifetime: Some(TTL + 10),
        ..request()
    };
    let issued = setup.sessions.create(request).await.unwrap();
    setup.advance(TTL / 2);
    let last = setup.renew(&issued.token).await.unwrap();
    assert_eq!(last.record.expires_at, last.record.absolute_expires_at);
    // A part of what is left of it, not of a full ttl.
    let left = TTL / 2 + 10;
    let since = last.renew_after.since(NOW.plus(TTL / 2));
    assert!((left / 2..=left * 8 / 10).contains(&since), "{since} of {left}");
}
