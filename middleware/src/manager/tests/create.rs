use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[tokio::test]
async fn session_has_the_requested_limits_and_else_those_of_the_policy() {
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
    let limits = crate::session::SessionLimits::new(1_001, 3, NOW.plus(5_000));
    let token_hash = issued.token.hash();
    let expected = SessionRecord {
        constraints: Some(constraints),
        ..SessionRecord::new(issued.record.id, test_support::agent(), token_hash, &limits)
    };
    assert_eq!(issued.record, expected);
    assert_eq!(issued.record.created_at(), NOW);
    assert_eq!(issued.record.expires_at(), NOW.plus(1_001));
    assert_eq!(issued.record.renewal_count(), 0);
    assert_eq!(issued.record.last_renewed_at(), None);
    assert!((NOW.plus(501)..=NOW.plus(800)).contains(&issued.renew_after));
    assert_eq!(setup.sessions.get(issued.record.id).await.unwrap(), expected);

    let default = setup.create().await.record;
    assert_eq!((default.ttl, default.max_renewals), (TTL, 30));
    assert_eq!(default.expires_at(), NOW.plus(TTL));
    assert_eq!(default.absolute_expires_at, NOW.plus(LIFETIME));
}

#[tokio::test]
async fn token_has_the_claims_of_the_record_and_is_admitted() {
    let setup = setup();
    let issued = setup.create().await;
    let verified = verifier().verify(issued.token.expose()).unwrap();
    let claims = Claims {
        session_id: issued.record.id,
        agent_id: test_support::agent(),
        generation: 0,
        issued_at: NOW,
        expires_at: issued.record.expires_at(),
    };
    assert_eq!(*verified.claims(), claims);
    assert_eq!(setup.rejection(&issued.token).await, None);
}

#[tokio::test]
async fn request_outside_the_policy_creates_nothing() {
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
async fn session_limit_counts_only_active_sessions_of_the_agent() {
    let setup = setup();
    let policy = SessionPolicy {
        max_sessions_per_agent: 2,
        ..SessionPolicy::default()
    };
    let setup = Setup {
        sessions: setup.sessions.clone().policy(policy),
        ..setup
    };
    let first = setup.create().await;
    setup.create().await;
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
    setup.create().await;
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
    setup.create().await;
}

#[tokio::test]
async fn session_is_created_only_for_an_agent_that_is_registered_in_the_store() {
    let store = MemoryStore::new();
    let sessions = SessionManager::new(store.clone(), signer()).clock(ManualClock::new(NOW));
    assert_kind(sessions.create(request()).await, ErrorKind::AgentNotFound);
    let page = sessions.list(None, first_page(10)).await.unwrap();
    assert!(page.items.is_empty());

    let agent = Agent::new(test_support::agent(), NOW);
    store.register(&agent).await.unwrap();
    sessions.create(request()).await.unwrap();
    let other = sessions.create(CreateSession::new(other_agent())).await;
    assert_kind(other, ErrorKind::AgentNotFound);

    store.delete_agent(agent.id, NOW).await.unwrap();
    assert_kind(sessions.create(request()).await, ErrorKind::AgentNotFound);
}

#[tokio::test]
async fn manager_for_any_agent_creates_a_session_for_an_unregistered_agent() {
    let setup = setup();
    setup.create().await;
    assert!(AnyAgent.contains(other_agent()).await.unwrap());
}

#[tokio::test]
async fn session_is_created_only_for_an_agent_of_the_given_directory() {
    /// Contains one agent, independent of the store.
    struct Only(crate::AgentId);

    impl AgentDirectory for Only {
        async fn contains(&self, agent: crate::AgentId) -> Result<bool, StoreError> {
            Ok(agent == self.0)
        }
    }

    let store = MemoryStore::new();
    store
        .register(&Agent::new(test_support::agent(), NOW))
        .await
        .unwrap();
    let sessions = SessionManager::with_directory(store, signer(), Only(other_agent()));
    assert_kind(sessions.create(request()).await, ErrorKind::AgentNotFound);
    sessions.create(CreateSession::new(other_agent())).await.unwrap();
}

#[tokio::test]
async fn store_creates_no_session_for_a_deleted_agent() {
    let setup = setup();
    let agent = Agent::new(test_support::agent(), NOW);
    setup.store.register(&agent).await.unwrap();
    setup.store.delete_agent(agent.id, NOW).await.unwrap();
    // The directory of this manager contains every agent. Only the store remembers the deletion.
    assert_kind(setup.sessions.create(request()).await, ErrorKind::AgentNotFound);
}

#[tokio::test]
async fn creation_reads_the_clock_once() {
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
