use std::collections::BTreeSet;

use super::SessionManager;
use crate::{
    error::{AuthError, ErrorKind},
    id::{AgentId, SessionId},
    session::SessionRecord,
    store::{AgentDirectory, Page, PageRequest, SessionCursor, SessionStore},
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Returns a session, even if it is revoked.
    ///
    /// # Errors
    /// `SessionNotFound`, `StoreUnavailable`.
    pub async fn get(&self, id: SessionId) -> Result<SessionRecord, AuthError> {
        let record = self.store.read(id).await?;
        record.ok_or_else(|| ErrorKind::SessionNotFound.into())
    }

    /// Returns a page of the sessions that are not revoked, of one agent or of all agents, newest first within an agent.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, AuthError> {
        Ok(self.store.list(agent, page).await?)
    }

    /// Like [`list`](Self::list), of these agents only, in the order of their ids.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn list_of(
        &self,
        agents: &BTreeSet<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, AuthError> {
        Ok(self.store.list_of(agents, page).await?)
    }
}
