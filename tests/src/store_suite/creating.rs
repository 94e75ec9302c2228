//! Creating sessions, and the limit on their number.

use tower_session_auth::{
    session::{Constraints, LastRenewal, ReplacedTokenPolicy},
    store::{CreateOutcome, StoreError},
};

use super::steps::{Store, add, add_some, ids, list};
use crate::fixtures::{CREATED, NOW, TTL, agent, constraints, renewal, session};

pub async fn created_session_is_read_back_unchanged(store: impl Store) {
    let parsed = |text: &str| Some(Constraints::new(text).unwrap());
    for constraints in [
        None,
        parsed("{}"),
        parsed(r#"{"b":1.50,"a":"Zoë 🦀 日本"}"#),
        parsed(&format!(r#"{{"a":"{}"}}"#, "é".repeat(29))),
        constraints(63),
        constraints(64),
        constraints(65),
        constraints(4_096),
    ] {
        let mut session = session(agent(), NOW);
        session.record.generation = 3;
        session.record.last_renewal = Some(LastRenewal::new(NOW.plus(1), 1, ReplacedTokenPolicy::default()));
        session.record.max_renewals = 7;
        session.record.ttl = 301;
        session.record.absolute_expires_at = NOW.plus(303);
        session.record.scopes = "a b:c".parse().unwrap();
        session.record.constraints = constraints;
        assert_eq!(session.record.expires_at(), NOW.plus(302));
        let record = add(&store, session).await;
        assert_eq!(store.read(record.id).await.unwrap(), Some(record.clone()));
        let listed = list(&store, Some(record.agent_id), 1).await;
        assert_eq!(listed, [record]);
    }
}

pub async fn unknown_session_reads_as_none(store: impl Store) {
    let id = session(agent(), NOW).record.id;
    assert_eq!(store.read(id).await.unwrap(), None);
}

/// A second creation could undo a revocation of the first.
pub async fn session_id_cannot_be_created_twice(store: impl Store) {
    let session = session(agent(), NOW);
    add(&store, session.clone()).await;
    assert!(store.revoke(session.record.id, NOW).await.unwrap().is_some());

    let again = store.create(&session).await;
    assert!(matches!(again, Err(StoreError::Unexpected(_))), "{again:?}");
    let record = store.read(session.record.id).await.unwrap().unwrap();
    assert_eq!(record.revoked_at, Some(NOW));
}

pub async fn rejected_creation_stores_nothing(store: impl Store) {
    let agent = agent();
    let records = add_some(&store, agent, 5).await;
    let sixth = session(agent, NOW);
    assert_eq!(store.create(&sixth).await.unwrap(), CreateOutcome::LimitReached);
    assert_eq!(store.read(sixth.record.id).await.unwrap(), None);
    assert_eq!(ids(&list(&store, Some(agent), 10).await), ids(&records));
}

pub async fn each_creation_applies_its_own_limit(store: impl Store) {
    let agent = agent();
    for (limit, outcome) in [
        (0, CreateOutcome::LimitReached),
        (1, CREATED),
        (1, CreateOutcome::LimitReached),
        (3, CREATED),
        (3, CREATED),
        (3, CreateOutcome::LimitReached),
        (2, CreateOutcome::LimitReached),
    ] {
        let mut session = session(agent, NOW);
        session.limit = limit;
        assert_eq!(store.create(&session).await.unwrap(), outcome, "limit {limit}");
    }
}

pub async fn limit_counts_the_sessions_of_one_agent(store: impl Store) {
    let (one, two) = (agent(), agent());
    add_some(&store, one, 5).await;
    add(&store, session(two, NOW)).await;
    let rejected = store.create(&session(one, NOW)).await.unwrap();
    assert_eq!(rejected, CreateOutcome::LimitReached);
}

pub async fn session_counts_until_the_second_it_expires(store: impl Store) {
    let expiry = NOW.0 + TTL;
    for (second, outcome) in [
        (expiry - 1, CreateOutcome::LimitReached),
        (expiry, CREATED),
        (expiry + 1, CREATED),
    ] {
        let agent = agent();
        add_some(&store, agent, 1).await;
        let mut session = session(agent, tower_session_auth::clock::Timestamp(second));
        session.limit = 1;
        assert_eq!(store.create(&session).await.unwrap(), outcome, "at {second}");
    }
}

pub async fn renewed_session_counts_until_its_new_expiry(store: impl Store) {
    let agent = agent();
    let record = add(&store, session(agent, NOW)).await;
    let half = NOW.plus(TTL / 2);
    store.replace_token(&renewal(&record, "1", half)).await.unwrap();
    for (now, outcome) in [
        (NOW.plus(TTL), CreateOutcome::LimitReached),
        (half.plus(TTL - 1), CreateOutcome::LimitReached),
        (half.plus(TTL), CREATED),
    ] {
        let mut session = session(agent, now);
        session.limit = 1;
        assert_eq!(store.create(&session).await.unwrap(), outcome, "at {now}");
    }
}

pub async fn revoked_session_does_not_count(store: impl Store) {
    let agent = agent();
    let records = add_some(&store, agent, 5).await;
    assert!(store.revoke(records[2].id, NOW).await.unwrap().is_some());
    add(&store, session(agent, NOW)).await;
    let rejected = store.create(&session(agent, NOW)).await.unwrap();
    assert_eq!(rejected, CreateOutcome::LimitReached);
}
