//! Admin keys that are restricted to agents: the sessions and agents that they may act on.

use std::{collections::BTreeSet, ops::Bound};

use crate::{
    error::AuthError,
    id::{AgentId, SessionId},
    manager::SessionManager,
    master_auth::Administrator,
    store::{Agent, AgentDirectory, AgentStore, Page, PageRequest, SessionStore},
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

/// A page of the permitted agents that are registered, by one call of the store.
pub(super) async fn agents<S: AgentStore>(
    store: &S,
    permitted: &BTreeSet<AgentId>,
    page: PageRequest<AgentId>,
) -> Result<Page<Agent, AgentId>, AuthError> {
    let after = page.after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = permitted.range((after, Bound::Unbounded)).copied();
    let ids: Vec<_> = rest.by_ref().take(MAX_AGENTS_PER_PAGE).collect();
    let mut items = store.agents_of(&ids).await?;
    let mut next = ids.last().copied().filter(|_| rest.next().is_some());
    if items.len() > page.limit {
        items.truncate(page.limit);
        next = items.last().map(|agent| agent.id);
    }
    Ok(Page { items, next })
}
