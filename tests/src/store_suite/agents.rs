//! Registering and deleting agents.

use tower_session_auth::store::{Agent, CreateOutcome, RegisterOutcome};

use super::steps::{Store, add, add_some, list, list_agents, revoked_at};
use crate::fixtures::{NOW, TTL, agent, register, session};

pub async fn registered_agent_is_read_back_unchanged(store: impl Store) {
    let long = "x".repeat(1_000);
    for name in [None, Some(""), Some("build-bot"), Some("Zoë 🦀"), Some(&*long)] {
        let registered = register(&store, agent(), name).await;
        assert_eq!(store.agent(registered.id).await.unwrap(), Some(registered));
    }
    assert_eq!(store.agent(agent()).await.unwrap(), None);
}

pub async fn second_registration_changes_nothing(store: impl Store) {
    let first = register(&store, agent(), Some("first")).await;
    let second = Agent::new(first.id, NOW.plus(1));
    let answer = store.register(&second).await.unwrap();
    assert_eq!(answer, RegisterOutcome::Exists(first.clone()));
    assert_eq!(store.agent(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(list_agents(&store, 10).await, [first]);
}

pub async fn pages_list_every_agent_once_by_id(store: impl Store) {
    assert_eq!(list_agents(&store, 1).await, []);
    let mut agents = Vec::new();
    for count in 0..7 {
        agents.push(register(&store, agent(), Some(&format!("agent {count}"))).await);
        // An agent without a registration and a deleted agent are not listed.
        add(&store, session(agent(), NOW)).await;
        let gone = register(&store, agent(), None).await;
        store.delete_agent(gone.id, NOW).await.unwrap();
    }
    for limit in 1..=agents.len() + 1 {
        assert_eq!(list_agents(&store, limit).await, agents, "pages of {limit}");
    }
}

pub async fn deleting_an_agent_revokes_its_sessions(store: impl Store) {
    let agent = register(&store, agent(), None).await.id;
    let other = add(&store, session(crate::fixtures::agent(), NOW)).await;
    let records = add_some(&store, agent, 4).await;
    assert!(store.revoke(records[3].id, NOW.plus(1)).await.unwrap().is_some());

    // The first session has expired by then.
    let now = NOW.plus(TTL);
    assert_eq!(
        store
            .delete_agent(agent, now)
            .await
            .unwrap()
            .map(|revoked| revoked.active),
        Some(2)
    );
    for record in &records[..3] {
        assert_eq!(revoked_at(&store, record.id).await, Some(now));
    }
    assert_eq!(revoked_at(&store, records[3].id).await, Some(NOW.plus(1)));
    assert_eq!(store.agent(agent).await.unwrap(), None);
    assert_eq!(list_agents(&store, 10).await, []);
    assert_eq!(
        list(&store, None, 10).await,
        [other],
        "sessions of other agents are kept"
    );
}

pub async fn deleting_an_agent_again_returns_none(store: impl Store) {
    assert_eq!(store.delete_agent(agent(), NOW).await.unwrap(), None);
    let unregistered = add(&store, session(agent(), NOW)).await;
    assert_eq!(
        store.delete_agent(unregistered.agent_id, NOW).await.unwrap(),
        None
    );
    assert_eq!(
        revoked_at(&store, unregistered.id).await,
        Some(NOW),
        "the store may have lost its record"
    );

    let agent = register(&store, agent(), None).await.id;
    assert_eq!(
        store
            .delete_agent(agent, NOW)
            .await
            .unwrap()
            .map(|revoked| revoked.active),
        Some(0)
    );
    assert_eq!(store.delete_agent(agent, NOW).await.unwrap(), None);
}

pub async fn deleted_agent_cannot_get_a_session(store: impl Store) {
    let agent = register(&store, agent(), None).await.id;
    let prepared = session(agent, NOW);
    store.delete_agent(agent, NOW).await.unwrap();
    for session in [prepared, session(agent, NOW.plus(3_599))] {
        let rejected = store.create(&session).await.unwrap();
        assert_eq!(rejected, CreateOutcome::AgentDeleted);
        assert_eq!(store.read(session.record.id).await.unwrap(), None);
    }
    assert_eq!(list(&store, Some(agent), 10).await, []);
}

pub async fn agent_registered_again_has_no_old_state(store: impl Store) {
    let old = register(&store, agent(), Some("old")).await;
    let before = add(&store, session(old.id, NOW)).await;
    store.delete_agent(old.id, NOW).await.unwrap();
    let new = Agent::new(old.id, NOW.plus(1));
    assert_eq!(store.register(&new).await.unwrap(), RegisterOutcome::Registered);
    assert_eq!(
        store.agent(new.id).await.unwrap(),
        Some(new.clone()),
        "the old name is gone"
    );
    assert_eq!(list_agents(&store, 10).await, std::slice::from_ref(&new));

    let after = add(&store, session(new.id, NOW)).await;
    assert_eq!(list(&store, None, 10).await, [after]);
    assert_eq!(revoked_at(&store, before.id).await, Some(NOW));
}
