//! Concurrent calls.

use std::sync::Arc;

use tokio::{sync::Barrier, task::JoinSet};
use tower_session_auth::{
    AgentId, SessionId,
    store::{CreateOutcome, SwapOutcome},
};

use super::steps::{Store, add, ids, list, revoked_at};
use crate::fixtures::{CREATED, NOW, agent, register, renewal, retry, session};

const MANY: usize = 64;
const ROUNDS: usize = 100;
const SESSIONS: usize = 8;

/// Runs each call in a separate task. All tasks start together. The outcomes have no order.
async fn at_once<T: Send + 'static>(calls: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let start = Arc::new(Barrier::new(calls.len()));
    let mut tasks = JoinSet::new();
    for call in calls {
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            start.wait().await;
            call.await
        });
    }
    tasks.join_all().await
}

pub async fn concurrent_creations_respect_the_limit(store: impl Store) {
    let agent = agent();
    let creation = |_| {
        let (store, session) = (store.clone(), session(agent, NOW));
        async move { (store.create(&session).await.unwrap(), session.record) }
    };
    let outcomes = at_once((0..MANY).map(creation).collect()).await;
    let done: Vec<_> = outcomes
        .into_iter()
        .filter_map(|(outcome, record)| match outcome {
            CreateOutcome::Created { evicted } if evicted.is_empty() => Some(record),
            CreateOutcome::LimitReached => None,
            other => panic!("unexpected: {other:?}"),
        })
        .collect();
    assert_eq!(done.len(), 5);
    assert_eq!(ids(&list(&store, Some(agent), MANY).await), ids(&done));
}

pub async fn one_of_many_concurrent_creations_with_one_key_succeeds(store: impl Store) {
    let agent = agent();
    let creation = |_| {
        let (store, mut session) = (store.clone(), session(agent, NOW));
        session.retry = Some(retry(agent, "key-number-1", "a", NOW));
        async move { (store.create(&session).await.unwrap(), session.record.id) }
    };
    let outcomes = at_once((0..MANY).map(creation).collect()).await;
    let (won, repeated): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|(outcome, _)| *outcome == CREATED);
    let [(_, winner)] = *won else {
        panic!("{} succeeded", won.len());
    };
    for (outcome, _) in repeated {
        let evicted = Vec::new();
        assert_eq!(outcome, CreateOutcome::Repeated { id: winner, evicted });
    }
    assert_eq!(ids(&list(&store, Some(agent), MANY).await), [winner].into());
}

pub async fn one_of_many_concurrent_replacements_succeeds(store: impl Store) {
    let record = add(&store, session(agent(), NOW)).await;
    let swap = |count: usize| {
        let (store, swap) = (store.clone(), renewal(&record, &format!("{count}"), NOW));
        async move { (store.replace_token(&swap).await.unwrap(), swap.next) }
    };
    let outcomes = at_once((0..MANY).map(swap).collect()).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes
        .into_iter()
        .partition(|(outcome, _)| *outcome == SwapOutcome::Replaced);
    assert!(
        lost.iter()
            .all(|(outcome, _)| matches!(outcome, SwapOutcome::Mismatch(_)))
    );
    let [(_, winner)] = &*won else {
        panic!("{} succeeded", won.len());
    };
    assert_eq!(store.read(record.id).await.unwrap().as_ref(), Some(winner));
}

/// The outcome of one of several concurrent calls.
enum CallOutcome {
    CreateOutcome(CreateOutcome, SessionId),
    Revoked(u32),
}

/// Creates sessions of an agent while another task revokes all of them, or deletes the agent.
async fn race<S: Store>(store: &S, agent: AgentId, delete: bool) -> Vec<CallOutcome> {
    let caller = |count: usize| {
        let (store, mut session) = (store.clone(), session(agent, NOW));
        session.limit = u32::MAX;
        async move {
            if count != SESSIONS / 2 {
                let id = session.record.id;
                CallOutcome::CreateOutcome(store.create(&session).await.unwrap(), id)
            } else if delete {
                let revoked = store.delete_agent(agent, NOW).await.unwrap();
                CallOutcome::Revoked(revoked.expect("a registered agent").active)
            } else {
                CallOutcome::Revoked(store.revoke_agent(agent, NOW).await.unwrap().active)
            }
        }
    };
    at_once((0..=SESSIONS).map(caller).collect()).await
}

pub async fn deletion_leaves_no_active_session_despite_concurrent_creations(store: impl Store) {
    for _ in 0..ROUNDS {
        let agent = register(&store, agent(), None).await.id;
        let (mut created, mut revoked) = (0, 0);
        for outcome in race(&store, agent, true).await {
            match outcome {
                CallOutcome::Revoked(count) => revoked = count,
                CallOutcome::CreateOutcome(outcome, id) if outcome == CREATED => {
                    created += 1;
                    assert_eq!(revoked_at(&store, id).await, Some(NOW));
                }
                CallOutcome::CreateOutcome(CreateOutcome::AgentDeleted, id) => {
                    assert_eq!(store.read(id).await.unwrap(), None);
                }
                CallOutcome::CreateOutcome(other, _) => panic!("there is no limit: {other:?}"),
            }
        }
        assert_eq!(revoked, created);
        assert_eq!(list(&store, Some(agent), MANY).await, []);
    }
}

pub async fn concurrent_creation_is_either_revoked_with_its_agent_or_active(store: impl Store) {
    for _ in 0..ROUNDS {
        let agent = agent();
        let (mut active, mut revoked_sessions, mut revoked) = (Vec::new(), 0, 0);
        for outcome in race(&store, agent, false).await {
            match outcome {
                CallOutcome::Revoked(count) => revoked = count,
                CallOutcome::CreateOutcome(outcome, id) => {
                    assert_eq!(outcome, CREATED);
                    match revoked_at(&store, id).await {
                        None => active.push(id),
                        Some(_) => revoked_sessions += 1,
                    }
                }
            }
        }
        assert_eq!(revoked, revoked_sessions);
        let listed = ids(&list(&store, Some(agent), MANY).await);
        assert_eq!(listed, active.into_iter().collect());
    }
}
