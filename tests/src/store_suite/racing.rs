//! Many callers at once.

use std::sync::Arc;

use tokio::{sync::Barrier, task::JoinSet};
use tower_session_auth::{Created, Swapped};

use super::steps::{Store, add, ids, list, revoked_at};
use crate::fixtures::{NOW, agent, register, renewal, session};

const MANY: usize = 64;
const ROUNDS: usize = 100;
const SESSIONS: usize = 8;

/// Runs all calls at once, each in a task of its own; their outcomes come in no order.
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

pub async fn of_many_creations_as_many_succeed_as_the_limit_says(store: impl Store) {
    let agent = agent();
    let creation = |_| {
        let (store, session) = (store.clone(), session(agent, NOW));
        async move { (store.create(&session).await.unwrap(), session.record) }
    };
    let outcomes = at_once((0..MANY).map(creation).collect()).await;
    let done: Vec<_> = outcomes
        .into_iter()
        .filter_map(|(outcome, record)| match outcome {
            Created::Done => Some(record),
            Created::LimitReached => None,
            Created::InPlaceOf(_) | Created::AgentDeleted => panic!("it was not"),
        })
        .collect();
    assert_eq!(done.len(), 5);
    assert_eq!(ids(&list(&store, Some(agent), MANY).await), ids(&done));
}

pub async fn of_many_replacements_of_a_token_one_succeeds(store: impl Store) {
    let record = add(&store, session(agent(), NOW)).await;
    let swap = |count: usize| {
        let (store, swap) = (store.clone(), renewal(&record, &format!("{count}"), NOW));
        async move { (store.replace_token(&swap).await.unwrap(), swap.next) }
    };
    let outcomes = at_once((0..MANY).map(swap).collect()).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes
        .into_iter()
        .partition(|(outcome, _)| *outcome == Swapped::Done);
    assert!(
        lost.iter()
            .all(|(outcome, _)| matches!(outcome, Swapped::Mismatch(_)))
    );
    let [(_, winner)] = &*won else {
        panic!("{} succeeded", won.len());
    };
    assert_eq!(store.read(record.id).await.unwrap().as_ref(), Some(winner));
}

/// What one of several callers did.
enum Did {
    Created(Created, tower_session_auth::SessionId),
    Revoked(u32),
}

/// Creates sessions of an agent while all of them are revoked, by deleting the agent or not.
async fn race<S: Store>(store: &S, agent: tower_session_auth::AgentId, delete: bool) -> Vec<Did> {
    let caller = |count: usize| {
        let (store, mut session) = (store.clone(), session(agent, NOW));
        session.limit = u32::MAX;
        async move {
            if count != SESSIONS / 2 {
                let id = session.record.id;
                Did::Created(store.create(&session).await.unwrap(), id)
            } else if delete {
                let revoked = store.delete_agent(agent, NOW).await.unwrap();
                Did::Revoked(revoked.expect("it is registered"))
            } else {
                Did::Revoked(store.revoke_agent(agent, NOW).await.unwrap())
            }
        }
    };
    at_once((0..=SESSIONS).map(caller).collect()).await
}

pub async fn a_deleted_agent_has_no_live_session(store: impl Store) {
    for _ in 0..ROUNDS {
        let agent = register(&store, agent(), None).await.id;
        let (mut created, mut revoked) = (0, 0);
        for did in race(&store, agent, true).await {
            match did {
                Did::Revoked(count) => revoked = count,
                Did::Created(Created::Done, id) => {
                    created += 1;
                    assert_eq!(revoked_at(&store, id).await, Some(NOW));
                }
                Did::Created(Created::AgentDeleted, id) => {
                    assert_eq!(store.read(id).await.unwrap(), None);
                }
                Did::Created(Created::LimitReached | Created::InPlaceOf(_), _) => panic!("there is none"),
            }
        }
        assert_eq!(revoked, created);
        assert_eq!(list(&store, Some(agent), MANY).await, []);
    }
}

pub async fn a_session_is_either_revoked_with_all_or_lives(store: impl Store) {
    for _ in 0..ROUNDS {
        let agent = agent();
        let (mut live, mut dead, mut revoked) = (Vec::new(), 0, 0);
        for did in race(&store, agent, false).await {
            match did {
                Did::Revoked(count) => revoked = count,
                Did::Created(outcome, id) => {
                    assert_eq!(outcome, Created::Done);
                    match revoked_at(&store, id).await {
                        None => live.push(id),
                        Some(_) => dead += 1,
                    }
                }
            }
        }
        assert_eq!(revoked, dead);
        let listed = ids(&list(&store, Some(agent), MANY).await);
        assert_eq!(listed, live.into_iter().collect());
    }
}
