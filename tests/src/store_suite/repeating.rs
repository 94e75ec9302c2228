//! Repeated creations: the response to the first one was lost.

use tower_session_auth::{
    AgentId,
    session::OnSessionLimit,
    store::{Agent, AgentReservation, CreateOutcome, NewSession, RegisterOutcome},
};

use super::steps::{Store, add, add_some, ids, list, revoked_at};
use crate::fixtures::{CREATED, NOW, RETRY_WINDOW, agent, register, retry, session};

/// A creation with an idempotency key, `seconds` after `NOW`.
fn repeatable(agent: AgentId, key: &str, request: &str, seconds: u64) -> NewSession {
    let mut session = session(agent, NOW.plus(seconds));
    session.retry = Some(retry(agent, key, request, NOW.plus(seconds)));
    session
}

fn repeated(first: &NewSession) -> CreateOutcome {
    CreateOutcome::Repeated {
        id: first.record.id,
        evicted: Vec::new(),
    }
}

pub async fn repeated_creation_returns_the_first_session_and_creates_nothing(store: impl Store) {
    let agent = agent();
    let first = repeatable(agent, "key-number-1", "a", 0);
    let record = add(&store, first.clone()).await;
    for seconds in [0, 1, RETRY_WINDOW - 1] {
        let again = repeatable(agent, "key-number-1", "a", seconds);
        assert_eq!(store.create(&again).await.unwrap(), repeated(&first));
        assert_eq!(store.read(again.record.id).await.unwrap(), None);
    }
    assert_eq!(list(&store, Some(agent), 10).await, [record]);
}

pub async fn retry_window_ends_at_its_second(store: impl Store) {
    let agent = agent();
    let first = repeatable(agent, "key-number-1", "a", 0);
    add(&store, first.clone()).await;
    let second = repeatable(agent, "key-number-1", "b", RETRY_WINDOW);
    add(&store, second.clone()).await;
    // The window of the second creation is open now.
    let again = repeatable(agent, "key-number-1", "b", 2 * RETRY_WINDOW - 1);
    assert_eq!(store.create(&again).await.unwrap(), repeated(&second));
    assert_eq!(list(&store, Some(agent), 10).await.len(), 2);
}

pub async fn key_with_another_request_creates_nothing(store: impl Store) {
    let agent = agent();
    let first = repeatable(agent, "key-number-1", "a", 0);
    let record = add(&store, first.clone()).await;
    let other = repeatable(agent, "key-number-1", "b", 0);
    assert_eq!(store.create(&other).await.unwrap(), CreateOutcome::KeyReused);
    assert_eq!(list(&store, Some(agent), 10).await, [record]);
    assert_eq!(
        store
            .create(&repeatable(agent, "key-number-1", "a", 0))
            .await
            .unwrap(),
        repeated(&first)
    );
    add(&store, repeatable(agent, "key-number-2", "b", 0)).await;
}

pub async fn creation_is_repeated_at_the_limit(store: impl Store) {
    let agent = agent();
    add_some(&store, agent, 4).await;
    let fifth = repeatable(agent, "key-number-1", "a", 4);
    add(&store, fifth.clone()).await;
    let again = repeatable(agent, "key-number-1", "a", 5);
    assert_eq!(store.create(&again).await.unwrap(), repeated(&fifth));
    let other = repeatable(agent, "key-number-2", "a", 5);
    assert_eq!(store.create(&other).await.unwrap(), CreateOutcome::LimitReached);
    assert_eq!(list(&store, Some(agent), 10).await.len(), 5);
}

pub async fn rejected_creation_leaves_its_key_free(store: impl Store) {
    let agent = agent();
    let records = add_some(&store, agent, 5).await;
    let rejected = repeatable(agent, "key-number-1", "a", 5);
    assert_eq!(
        store.create(&rejected).await.unwrap(),
        CreateOutcome::LimitReached
    );
    store.revoke(records[0].id, NOW.plus(5)).await.unwrap();
    add(&store, repeatable(agent, "key-number-1", "b", 5)).await;
}

pub async fn repetition_evicts_nothing_and_names_the_sessions_evicted_before(store: impl Store) {
    let agent = agent();
    let evicting = |key: &str, seconds| {
        let mut session = repeatable(agent, key, "a", seconds);
        session.on_limit = OnSessionLimit::EvictOldest;
        session.limit = 2;
        session
    };
    let records = add_some(&store, agent, 3).await;
    let evicted = vec![records[0].id, records[1].id];
    let first = evicting("key-number-1", 3);
    let created = store.create(&first).await.unwrap();
    assert_eq!(
        created,
        CreateOutcome::Created {
            evicted: evicted.clone()
        }
    );
    for _ in 0..2 {
        let again = store.create(&evicting("key-number-1", 4)).await.unwrap();
        let id = first.record.id;
        assert_eq!(
            again,
            CreateOutcome::Repeated {
                id,
                evicted: evicted.clone()
            }
        );
    }
    let left = ids(&list(&store, Some(agent), 10).await);
    assert_eq!(left, [records[2].id, first.record.id].into());
}

pub async fn creation_is_repeated_after_its_session_was_revoked(store: impl Store) {
    let agent = agent();
    let first = repeatable(agent, "key-number-1", "a", 0);
    add(&store, first.clone()).await;
    store.revoke(first.record.id, NOW.plus(1)).await.unwrap();
    let again = repeatable(agent, "key-number-1", "a", 2);
    assert_eq!(store.create(&again).await.unwrap(), repeated(&first));
    assert_eq!(revoked_at(&store, first.record.id).await, Some(NOW.plus(1)));
    assert_eq!(list(&store, Some(agent), 10).await, []);
}

pub async fn creation_is_not_repeated_for_a_deleted_agent(store: impl Store) {
    let agent = register(&store, agent(), None).await.id;
    add(&store, repeatable(agent, "key-number-1", "a", 0)).await;
    store.delete_agent(agent, NOW).await.unwrap();
    let again = repeatable(agent, "key-number-1", "a", 1);
    assert_eq!(store.create(&again).await.unwrap(), CreateOutcome::AgentDeleted);
}

fn reservation(key: &str, request: &str, seconds: u64) -> AgentReservation {
    let now = NOW.plus(seconds);
    AgentReservation::new(
        retry(AgentId::from_uuid(Default::default()), key, request, now),
        agent(),
        now,
    )
}

pub async fn first_reservation_of_an_agent_holds_until_its_window_ends(store: impl Store) {
    let first = reservation("key-number-1", "a", 0);
    assert_eq!(store.reserve(&first).await.unwrap(), first);
    for (request, seconds) in [("a", 0), ("b", 1), ("a", RETRY_WINDOW - 1)] {
        let held = store
            .reserve(&reservation("key-number-1", request, seconds))
            .await
            .unwrap();
        assert_eq!(held, first);
    }
    let next = reservation("key-number-1", "a", RETRY_WINDOW);
    assert_eq!(store.reserve(&next).await.unwrap(), next);
    let other = reservation("key-number-2", "a", 0);
    assert_eq!(store.reserve(&other).await.unwrap(), other);
}

pub async fn agent_deleted_after_its_registration_is_not_registered_again(store: impl Store) {
    let first = register(&store, agent(), None).await;
    store.delete_agent(first.id, NOW.plus(1)).await.unwrap();
    let again = Agent::new(first.id, NOW);
    assert_eq!(store.register(&again).await.unwrap(), RegisterOutcome::Deleted);
    assert_eq!(store.agent(first.id).await.unwrap(), None);
    let rejected = store.create(&session(first.id, NOW)).await.unwrap();
    assert_eq!(rejected, CreateOutcome::AgentDeleted);
    let anew = Agent::new(first.id, NOW.plus(1));
    assert_eq!(store.register(&anew).await.unwrap(), RegisterOutcome::Registered);
    assert_eq!(store.create(&session(first.id, NOW)).await.unwrap(), CREATED);
}
