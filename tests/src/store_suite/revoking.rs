//! Revoking sessions.

use super::steps::{Store, add, add_some, ids, list, revoked_at};
use crate::fixtures::{NOW, TTL, agent, session};

pub async fn repeated_revocation_keeps_the_first_time(store: impl Store) {
    let record = add(&store, session(agent(), NOW)).await;
    for second in [5, 6, 4] {
        assert!(store.revoke(record.id, NOW.plus(second)).await.unwrap().is_some());
        assert_eq!(revoked_at(&store, record.id).await, Some(NOW.plus(5)));
    }
    store.revoke_agent(record.agent_id, NOW.plus(7)).await.unwrap();
    assert_eq!(revoked_at(&store, record.id).await, Some(NOW.plus(5)));
}

pub async fn revoking_an_unknown_session_returns_false(store: impl Store) {
    let agent = agent();
    let other = add(&store, session(agent, NOW)).await;
    let id = session(agent, NOW).record.id;
    assert!(store.revoke(id, NOW).await.unwrap().is_none());
    assert_eq!(store.read(id).await.unwrap(), None);
    assert_eq!(revoked_at(&store, other.id).await, None);
}

pub async fn expired_session_can_be_revoked(store: impl Store) {
    let record = add(&store, session(agent(), NOW)).await;
    let late = NOW.plus(TTL + 1);
    assert!(store.revoke(record.id, late).await.unwrap().is_some());
    assert_eq!(revoked_at(&store, record.id).await, Some(late));
}

pub async fn revoking_an_agent_counts_its_active_sessions(store: impl Store) {
    for (now, active) in [
        (NOW.plus(TTL - 1), 4),
        (NOW.plus(TTL), 3),
        (NOW.plus(TTL + 1), 2),
        (NOW.plus(TTL + 9), 0),
    ] {
        let agent = agent();
        // They expire at TTL, TTL + 1, and so on.
        let records = add_some(&store, agent, 5).await;
        let earlier = NOW.plus(9);
        assert!(store.revoke(records[4].id, earlier).await.unwrap().is_some());

        assert_eq!(
            store.revoke_agent(agent, now).await.unwrap().active,
            active,
            "at {now}"
        );
        for record in &records[..4] {
            assert_eq!(revoked_at(&store, record.id).await, Some(now), "expired or not");
        }
        assert_eq!(revoked_at(&store, records[4].id).await, Some(earlier));
        assert_eq!(list(&store, Some(agent), 10).await, []);
        assert_eq!(
            store.revoke_agent(agent, now).await.unwrap().active,
            0,
            "nothing is left"
        );
    }
}

pub async fn revoking_an_agent_keeps_the_sessions_of_others(store: impl Store) {
    let (one, two) = (agent(), agent());
    add_some(&store, one, 2).await;
    let others = add_some(&store, two, 2).await;
    assert_eq!(
        store.revoke_agent(agent(), NOW).await.unwrap().active,
        0,
        "unknown"
    );
    assert_eq!(store.revoke_agent(one, NOW).await.unwrap().active, 2);
    assert_eq!(ids(&list(&store, None, 10).await), ids(&others));
    for record in &others {
        assert_eq!(revoked_at(&store, record.id).await, None);
    }
}

pub async fn session_created_after_revoking_its_agent_is_active(store: impl Store) {
    let agent = agent();
    add_some(&store, agent, 5).await;
    assert_eq!(store.revoke_agent(agent, NOW).await.unwrap().active, 5);
    let after = add_some(&store, agent, 5).await;
    assert_eq!(ids(&list(&store, Some(agent), 10).await), ids(&after));
    assert_eq!(revoked_at(&store, after[0].id).await, None);
}
