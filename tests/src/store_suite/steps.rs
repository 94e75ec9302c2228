//! Steps that the rules share.

use std::collections::BTreeSet;

use tower_session_auth::{
    AgentId, SessionId,
    clock::Timestamp,
    session::SessionRecord,
    store::{Agent, AgentStore, NewSession, PageRequest, SessionCursor, SessionStore},
};

use crate::fixtures::{CREATED, NOW, constraints, session};

/// A store of sessions and of agents.
pub trait Store: SessionStore + AgentStore {}

impl<S: SessionStore + AgentStore> Store for S {}

/// Creates a session, which must succeed.
pub(super) async fn add(store: &impl Store, session: NewSession) -> SessionRecord {
    assert_eq!(store.create(&session).await.unwrap(), CREATED);
    session.record
}

/// Creates sessions of an agent, one second apart, every other one with long constraints.
pub(super) async fn add_some(store: &impl Store, agent: AgentId, count: u64) -> Vec<SessionRecord> {
    let mut records = Vec::new();
    for second in 0..count {
        let mut session = session(agent, NOW.plus(second));
        session.limit = u32::MAX;
        session.record.constraints = constraints(65).filter(|_| second % 2 == 0);
        records.push(add(store, session).await);
    }
    records
}

pub(super) async fn revoked_at(store: &impl Store, id: SessionId) -> Option<Timestamp> {
    store.read(id).await.unwrap().unwrap().revoked_at
}

/// Lists sessions page by page.
pub(super) async fn list(store: &impl Store, agent: Option<AgentId>, limit: usize) -> Vec<SessionRecord> {
    list_from(store, agent, None, limit).await
}

pub(super) async fn list_from(
    store: &impl Store,
    agent: Option<AgentId>,
    mut after: Option<SessionCursor>,
    limit: usize,
) -> Vec<SessionRecord> {
    let mut records = Vec::new();
    for _ in 0..1_000 {
        let page = store.list(agent, PageRequest { after, limit }).await.unwrap();
        assert!(page.items.len() <= limit);
        records.extend(page.items);
        match page.next {
            None => return records,
            // Encoded and decoded, as in a URL.
            Some(next) => after = Some(SessionCursor::decode(&next.encode()).unwrap()),
        }
    }
    panic!("the pages do not end");
}

/// Lists agents page by page.
pub(super) async fn list_agents(store: &impl Store, limit: usize) -> Vec<Agent> {
    let (mut agents, mut after) = (Vec::new(), None);
    for _ in 0..1_000 {
        let page = store.agents(PageRequest { after, limit }).await.unwrap();
        assert!(page.items.len() <= limit);
        agents.extend(page.items);
        match page.next {
            None => return agents,
            Some(next) => after = Some(AgentId::decode_cursor(&next.encode_cursor()).unwrap()),
        }
    }
    panic!("the pages do not end");
}

pub(super) fn ids(records: &[SessionRecord]) -> BTreeSet<SessionId> {
    let ids: BTreeSet<_> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), records.len(), "a session is listed twice");
    ids
}
