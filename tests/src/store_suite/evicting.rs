//! Creations that evict the oldest session.

use tower_session_auth::{
    AgentId, SessionId,
    session::OnSessionLimit,
    store::{CreateOutcome, NewSession, SwapOutcome},
};

use super::steps::{Store, add, ids, list, revoked_at};
use crate::fixtures::{NOW, TTL, agent, register, renewal, session};

/// A session that is created at `NOW + seconds` and may evict others.
fn evicting(agent: AgentId, seconds: u64, limit: u32) -> NewSession {
    let mut session = session(agent, NOW.plus(seconds));
    session.limit = limit;
    session.on_limit = OnSessionLimit::EvictOldest;
    session
}

async fn evicted_by(store: &impl Store, session: &NewSession) -> Vec<SessionId> {
    match store.create(session).await.unwrap() {
        CreateOutcome::Created { evicted } if !evicted.is_empty() => evicted,
        other => panic!("{other:?}"),
    }
}

pub async fn least_recently_created_or_renewed_session_is_evicted(store: impl Store) {
    let agent = agent();
    let mut records = Vec::new();
    for second in 0..3 {
        records.push(add(&store, evicting(agent, second, 3)).await);
    }
    // Now the first was renewed last, and the second expires last.
    let swap = renewal(&records[0], "1", NOW.plus(3));
    assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Replaced);
    let mut swap = renewal(&records[1], "1", NOW.plus(1));
    swap.next.ttl = 10 * TTL;
    assert_eq!(swap.next.expires_at(), NOW.plus(1 + 10 * TTL));
    assert_eq!(store.replace_token(&swap).await.unwrap(), SwapOutcome::Replaced);

    let mut expected = vec![records[1].id, records[2].id, records[0].id];
    for second in 4..7 {
        let fresh = evicting(agent, second, 3);
        let first = expected.remove(0);
        assert_eq!(evicted_by(&store, &fresh).await, [first]);
        assert_eq!(revoked_at(&store, first).await, Some(fresh.now));
        expected.push(fresh.record.id);
        let left = ids(&list(&store, Some(agent), 10).await);
        assert_eq!(left, expected.iter().copied().collect());
    }
}

pub async fn eviction_brings_the_agent_down_to_the_limit(store: impl Store) {
    let agent = agent();
    let mut records = Vec::new();
    for second in 0..5 {
        records.push(add(&store, evicting(agent, second, 5)).await.id);
    }
    assert_eq!(evicted_by(&store, &evicting(agent, 9, 3)).await, records[..3]);
    assert_eq!(list(&store, Some(agent), 10).await.len(), 3);
}

pub async fn expired_and_revoked_sessions_are_not_evicted(store: impl Store) {
    let agent = agent();
    let expired = add(&store, evicting(agent, 0, 3)).await.id;
    let revoked = add(&store, evicting(agent, 1, 3)).await.id;
    let active = add(&store, evicting(agent, 2, 3)).await.id;
    store.revoke(revoked, NOW.plus(2)).await.unwrap();
    let other = add(&store, session(self::agent(), NOW)).await.id;
    assert_eq!(evicted_by(&store, &evicting(agent, TTL, 1)).await, [active]);
    assert_eq!(revoked_at(&store, expired).await, None);
    assert_eq!(revoked_at(&store, revoked).await, Some(NOW.plus(2)));
    assert_eq!(revoked_at(&store, other).await, None);
}

pub async fn failed_creation_evicts_nothing(store: impl Store) {
    let agent = register(&store, agent(), None).await.id;
    let record = add(&store, evicting(agent, 0, 1)).await;
    let mut twice = evicting(agent, 0, 1);
    twice.record.id = record.id;
    assert!(
        store.create(&twice).await.is_err(),
        "an id cannot be created twice"
    );
    assert_eq!(revoked_at(&store, record.id).await, None);
    let none = store.create(&evicting(agent, 0, 0)).await.unwrap();
    assert_eq!(none, CreateOutcome::LimitReached);
    assert_eq!(revoked_at(&store, record.id).await, None);
    store.delete_agent(agent, NOW).await.unwrap();
    let deleted = store.create(&evicting(agent, 0, 1)).await.unwrap();
    assert_eq!(deleted, CreateOutcome::AgentDeleted);
}
