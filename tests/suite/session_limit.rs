//! The setting `on_session_limit = "evict_oldest"`: a new session replaces the oldest one of the agent.

use std::time::Duration;

use serde_json::json;
use session_auth_tests::{
    api::Issued,
    fixtures::{NOW, agent},
    redis::Keyspace,
    server::TestServer,
};
use tower_session_auth::{
    RedisStore, SessionManager, SigningKey,
    clock::ManualClock,
    session::{CreateSession, OnSessionLimit, SessionPolicy},
    store::PageRequest,
    token::TokenSigner,
};

async fn evicting() -> [TestServer; 2] {
    let adjust = |settings: &mut session_auth_server::config::Settings| {
        settings.on_session_limit = Some(OnSessionLimit::EvictOldest);
        settings.max_sessions_per_agent = Some(3);
        settings.min_ttl = Some(10);
    };
    [
        TestServer::memory_with(adjust).await,
        TestServer::redis_with(adjust).await,
    ]
}

async fn create(server: &TestServer, agent: &str, ttl: u64) -> Issued {
    let request = json!({ "agentId": agent, "ttl": ttl });
    server.api.create(request).await.expect(201).issued()
}

#[tokio::test]
async fn least_recently_created_or_renewed_session_is_evicted() {
    for server in evicting().await {
        let agent = server.api.agent().await;
        // The first session is the oldest, but it was renewed after the second was created.
        let first = create(&server, &agent, 1_000).await;
        server.advance(400);
        let second = create(&server, &agent, 900).await;
        server.advance(100);
        let renewed = server
            .api
            .renew(&first.id, &first.token)
            .await
            .expect(200)
            .issued();
        let third = create(&server, &agent, 800).await;
        for session in [&second, &third, &renewed] {
            assert!(
                session.body.get("evictedSessionIds").is_none(),
                "{}",
                session.body
            );
        }

        server.advance(1);
        let fourth = create(&server, &agent, 600).await;
        assert_eq!(fourth.body["evictedSessionIds"], json!([second.id]));
        server
            .api
            .access(&second.token)
            .await
            .rejected(401, "SESSION_REVOKED");
        for active in [&renewed, &third, &fourth] {
            server.api.access(&active.token).await.expect(200);
        }
        // The first was renewed and the third created in the same second: the one created first is evicted.
        let fifth = create(&server, &agent, 600).await;
        assert_eq!(fifth.body["evictedSessionIds"], json!([first.id]));
        let list = server.api.list(&format!("?agentId={agent}")).await.expect(200);
        assert_eq!(list.body.as_array().map(Vec::len), Some(3));
    }
}

#[tokio::test]
async fn expired_session_is_not_evicted() {
    for server in evicting().await {
        let agent = server.api.agent().await;
        let short = create(&server, &agent, 10).await;
        for _ in 0..2 {
            create(&server, &agent, 1_000).await;
        }
        server.advance(10);
        let fourth = create(&server, &agent, 1_000).await;
        assert!(fourth.body.get("evictedSessionIds").is_none());
        server
            .api
            .access(&short.token)
            .await
            .rejected(401, "TOKEN_EXPIRED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creations_all_succeed_and_leave_the_maximum() {
    for server in evicting().await {
        let agent = server.api.agent().await;
        let opened: Vec<_> = (0..64)
            .map(|_| {
                let (api, agent) = (server.api.clone(), agent.clone());
                tokio::spawn(async move { api.session(&agent).await })
            })
            .collect();
        let (mut active, mut evicted) = (0, 0);
        let mut sessions = Vec::new();
        for session in opened {
            sessions.push(session.await.unwrap());
        }
        for session in sessions {
            let reply = server.api.access(&session.token).await;
            active += usize::from(reply.status == 200);
            evicted += session.body["evictedSessionIds"].as_array().map_or(0, Vec::len);
        }
        assert_eq!((active, evicted), (3, 61));
    }
}

/// The ids of one process are strictly increasing, so sessions of the same millisecond keep their order in Redis.
#[tokio::test]
async fn first_opened_of_six_sessions_is_evicted_in_redis() {
    let keyspace = Keyspace::fresh();
    let mut config = keyspace.config();
    config.timeout = Duration::from_secs(10);
    let store = RedisStore::open(&config).unwrap();
    let signer = TokenSigner::new(SigningKey::generate().unwrap());
    let mut policy = SessionPolicy::default();
    policy.on_session_limit = OnSessionLimit::EvictOldest;
    let sessions = SessionManager::for_any_agent(store, signer)
        .policy(policy)
        .clock(ManualClock::new(NOW));
    for trial in 0..200 {
        let agent = agent();
        let mut opened = Vec::new();
        for _ in 0..6 {
            opened.push(sessions.create(CreateSession::new(agent)).await.unwrap());
        }
        let ids: Vec<_> = opened.iter().map(|issued| issued.record.id).collect();
        assert_eq!(opened[5].evicted, ids[..1], "trial {trial}");
        assert!(opened[..5].iter().all(|issued| issued.evicted.is_empty()));
        let page = PageRequest {
            after: None,
            limit: 10,
        };
        let listed = sessions.list(Some(agent), page).await.unwrap().items;
        let listed: Vec<_> = listed.iter().map(|record| record.id).collect();
        let newest_first: Vec<_> = ids[1..].iter().rev().copied().collect();
        assert_eq!(listed, newest_first, "trial {trial}");
    }
}
