//! Admin keys that are restricted to agents: the sessions and agents that they may act on.

use std::collections::BTreeSet;

use crate::{
    error::AuthError,
    id::{AgentId, SessionId},
    manager::SessionManager,
    master_auth::Administrator,
    session::SessionRecord,
    store::{Agent, AgentDirectory, AgentStore, Page, PageRequest, SessionCursor, SessionStore},
};

/// The maximum number of agents that one request for a list reads.
const MAX_AGENTS_PER_PAGE: usize = 500;

/// Checks that the session belongs to a permitted agent. Reads its record only for a restricted key.
pub(super) async fn require_session<S: SessionStore, D: AgentDirectory>(
    sessions: &SessionManager<S, D>,
    admin: &Administrator,
    id: SessionId,
) -> Result<(), AuthError> {
    if admin.agents().is_none() {
        return Ok(());
    }
    require_bucket(admin, id)?;
    admin.require_agent(sessions.get(id).await?.agent_id)
}

/// Checks the agents' bucket in a session id. So the answer about a session of another agent does not depend on its existence.
pub(super) fn require_bucket(admin: &Administrator, id: SessionId) -> Result<(), AuthError> {
    let mut permitted = admin.agents().into_iter().flatten();
    if admin.agents().is_none() || permitted.any(|agent| agent.bucket() == id.bucket()) {
        Ok(())
    } else {
        Err(Administrator::other_agent())
    }
}

/// A page of the permitted agents that are registered.
pub(super) async fn agents<S: AgentStore>(
    store: &S,
    permitted: &BTreeSet<AgentId>,
    page: PageRequest<AgentId>,
) -> Result<Page<Agent, AgentId>, AuthError> {
    let after = |agent: &&AgentId| page.after.is_none_or(|after| **agent > after);
    let mut rest = permitted.iter().filter(after).peekable();
    let mut items = Vec::new();
    let mut last = None;
    for agent in rest.by_ref().take(MAX_AGENTS_PER_PAGE) {
        items.extend(store.agent(*agent).await?);
        last = Some(*agent);
        if items.len() >= page.limit {
            break;
        }
    }
    let next = last.filter(|_| rest.peek().is_some());
    Ok(Page { items, next })
}

/// A page of the sessions of the permitted agents.
pub(super) async fn sessions<S: SessionStore, D: AgentDirectory>(
    sessions: &SessionManager<S, D>,
    permitted: &BTreeSet<AgentId>,
    page: PageRequest<SessionCursor>,
) -> Result<Page<SessionRecord, SessionCursor>, AuthError> {
    let first = page.after.map(|cursor| cursor.agent);
    let not_before = |agent: &&AgentId| first.is_none_or(|first| **agent >= first);
    let mut rest = permitted.iter().filter(not_before).peekable();
    let mut items = Vec::new();
    for agent in rest.by_ref().take(MAX_AGENTS_PER_PAGE) {
        let request = PageRequest {
            after: page.after.filter(|cursor| cursor.agent == *agent),
            limit: page.limit - items.len(),
        };
        let mut found = sessions.list(Some(*agent), request).await?;
        items.append(&mut found.items);
        if found.next.is_some() {
            return Ok(Page {
                items,
                next: found.next,
            });
        }
        if items.len() >= page.limit {
            break;
        }
    }
    // The next page begins with the first session of the next agent.
    let next = rest.peek().map(|agent| SessionCursor {
        agent: **agent,
        session: None,
    });
    Ok(Page { items, next })
}
