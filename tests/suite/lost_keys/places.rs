//! The places of an agent at its maximum: an index entry without an active record holds none.

use std::sync::Arc;

use session_auth_tests::fixtures::{
    CREATED, NOW, agent, key,
    layout::{LayoutStore, agent_key},
    session,
};
use tokio::task::JoinSet;
use tower_session_auth::{
    AgentId,
    session::OnSessionLimit,
    store::{CreateOutcome, SessionStore as _},
};

/// Fills the five places of a new agent. Then deletes the records of the first two sessions, and revokes the third by hand, so that its
/// index entry is left.
async fn agent_with_two_active_sessions(layout: &LayoutStore) -> AgentId {
    let agent = agent();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(layout.add(session(agent, NOW)).await.id);
    }
    for id in &ids[..2] {
        layout.query::<i64>(&["DEL", &key(*id)]);
    }
    let index = agent_key("idx", agent);
    layout.query::<i64>(&["COPY", &index, "copy"]);
    layout.store.revoke(ids[2], NOW).await.unwrap();
    layout.query::<String>(&["RENAME", "copy", &index]);
    assert_eq!(layout.query::<i64>(&["ZCARD", &index]), 5);
    agent
}

#[tokio::test]
async fn sessions_without_an_active_record_hold_no_place() {
    let layout = LayoutStore::start();
    let agent = agent_with_two_active_sessions(&layout).await;
    for _ in 0..3 {
        assert_eq!(layout.store.create(&session(agent, NOW)).await.unwrap(), CREATED);
    }
    for _ in 0..2 {
        let refused = layout.store.create(&session(agent, NOW)).await.unwrap();
        assert_eq!(refused, CreateOutcome::LimitReached);
    }
    assert_eq!(layout.query::<i64>(&["ZCARD", &agent_key("idx", agent)]), 5);
}

#[tokio::test]
async fn no_session_is_evicted_while_an_entry_has_no_active_record() {
    let layout = LayoutStore::start();
    let agent = agent_with_two_active_sessions(&layout).await;
    let mut evicting = Vec::new();
    for _ in 0..4 {
        let mut session = session(agent, NOW);
        session.on_limit = OnSessionLimit::EvictOldest;
        evicting.push(layout.store.create(&session).await.unwrap());
    }
    assert_eq!(evicting[..3], [CREATED, CREATED, CREATED]);
    assert!(matches!(&evicting[3], CreateOutcome::Created { evicted } if evicted.len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_creations_take_exactly_the_free_places() {
    let layout = Arc::new(LayoutStore::start());
    let agent = agent_with_two_active_sessions(&layout).await;
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let layout = layout.clone();
        tasks.spawn(async move { layout.store.create(&session(agent, NOW)).await.unwrap() });
    }
    let created = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|outcome| *outcome == CREATED)
        .count();
    assert_eq!(created, 3);
    assert_eq!(layout.query::<i64>(&["ZCARD", &agent_key("idx", agent)]), 5);
}
