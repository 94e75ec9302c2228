use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[tokio::test]
async fn a_session_is_what_was_wished_for_and_what_the_policy_says() {
    let setup = setup();
    let constraints = Constraints::new(r#"{"paths":["/a"]}"#).unwrap();
    let request = CreateSession {
        ttl: Some(1_001),
        max_renewals: Some(3),
        absolute_lifetime: Some(5_000),
        constraints: Some(constraints.clone()),
        ..request()
    };
    let issued = setup.sessions.create(request).await.unwrap();
    let expected = SessionRecord {
        id: issued.record.id,
        agent_id: testing::agent(),
        token_hash: issued.token.hash(),
        generation: 0,
        renewal_count: 0,
        max_renewals: 3,
        ttl: 1_001,
        expires_at: NOW.plus(1_001),
        absolute_expires_at: NOW.plus(5_000),
        last_renewed_at: None,
        previous_token_hash: None,
        retry_hash: None,
        rotated_generation: None,
        revoked_at: None,
        constraints: Some(constraints),
    };
    assert_eq!(issued.record, expected);
    assert_eq!(issued.record.created_at(), NOW);
    assert!((NOW.plus(501)..=NOW.plus(800)).contains(&issued.renew_after));
    assert_eq!(setup.sessions.get(issued.record.id).await.unwrap(), expected);

    let default = setup.open().await.record;
    assert_eq!((default.ttl, default.max_renewals), (TTL, 30));
    assert_eq!(default.expires_at, NOW.plus(TTL));
    assert_eq!(default.absolute_expires_at, NOW.plus(LIFETIME));
}

#[tokio::test]
async fn the_token_says_what_the_record_says_and_is_accepted() {
    let setup = setup();
    let issued = setup.open().await;
    let proven = verifier().verify(issued.token.expose()).unwrap();
    let claims = Claims {
        session_id: issued.record.id,
        agent_id: testing::agent(),
        generation: 0,
        issued_at: NOW,
        expires_at: issued.record.expires_at,
    };
    assert_eq!(*proven.claims(), claims);
    assert_eq!(setup.refusal(&issued.token).await, None);
}

#[tokio::test]
async fn a_wish_outside_the_policy_opens_nothing() {
    let setup = setup();
    let request = CreateSession {
        ttl: Some(299),
        ..request()
    };
    assert_kind(setup.sessions.create(request).await, ErrorKind::ValidationFailed);
    let page = setup.sessions.list(None, first_page(10)).await.unwrap();
    assert!(page.items.is_empty());
}

#[tokio::test]
async fn an_agent_has_its_maximum_of_sessions_that_are_active() {
    let setup = setup();
    let policy = SessionPolicy {
        max_sessions_per_agent: 2,
        ..SessionPolicy::default()
    };
    let setup = Setup {
        sessions: setup.sessions.clone().policy(policy),
        ..setup
    };
    let first = setup.open().await;
    setup.open().await;
    assert_kind(
        setup.sessions.create(request()).await,
        ErrorKind::SessionLimitExceeded,
    );
    setup
        .sessions
        .create(CreateSession::new(other_agent()))
        .await
        .unwrap();

    setup.sessions.revoke(first.record.id).await.unwrap();
    setup.open().await;
    assert_kind(
        setup.sessions.create(request()).await,
        ErrorKind::SessionLimitExceeded,
    );

    setup.advance(TTL - 1);
    assert_kind(
        setup.sessions.create(request()).await,
        ErrorKind::SessionLimitExceeded,
    );
    setup.advance(1);
    setup.open().await;
}

#[tokio::test]
async fn any_agent_is_accepted_unless_a_directory_knows_them() {
    let setup = setup();
    setup.open().await;
    assert!(AnyAgent.contains(other_agent()).await.unwrap());

    let registered = setup
        .sessions
        .clone()
        .directory(RegisteredAgents(setup.store.clone()));
    assert_kind(registered.create(request()).await, ErrorKind::AgentNotFound);
    let agent = Agent {
        id: testing::agent(),
        name: None,
        created_at: NOW,
    };
    setup.store.register(&agent).await.unwrap();
    registered.create(request()).await.unwrap();
    let stranger = registered.create(CreateSession::new(other_agent())).await;
    assert_kind(stranger, ErrorKind::AgentNotFound);
}

#[tokio::test]
async fn an_agent_that_was_deleted_meanwhile_gets_no_session() {
    let setup = setup();
    let agent = Agent {
        id: testing::agent(),
        name: None,
        created_at: NOW,
    };
    setup.store.register(&agent).await.unwrap();
    setup.store.delete_agent(agent.id, NOW).await.unwrap();
    // This manager's directory still knows the agent: the store alone knows better.
    assert_kind(setup.sessions.create(request()).await, ErrorKind::AgentNotFound);
}

#[tokio::test]
async fn a_session_opened_while_the_second_turns_has_one_time_of_creation() {
    struct Turning(AtomicU64);

    impl Clock for Turning {
        fn now_millis(&self) -> u64 {
            self.0.fetch_add(1, Ordering::SeqCst)
        }
    }

    let clock = Turning(AtomicU64::new(NOW.0 * 1_000 + 999));
    let sessions = setup().sessions.clock(clock);
    let record = sessions.create(request()).await.unwrap().record;
    assert_eq!(record.created_at(), NOW);
    assert_eq!(record.absolute_expires_at, NOW.plus(LIFETIME));
}
