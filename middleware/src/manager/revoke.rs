use super::SessionManager;
use crate::{
    error::{AuthError, ErrorKind},
    id::{AgentId, SessionId},
    store::{AgentDirectory, AgentRevoked, Revoked, SessionStore},
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Revokes a session: its token is rejected from the next request on. A repetition only waits again for acknowledgements, if
    /// the store was configured to wait for some.
    ///
    /// # Errors
    /// `SessionNotFound`, `StoreUnavailable`.
    pub async fn revoke(&self, id: SessionId) -> Result<Revoked, AuthError> {
        let revoked = self.store.revoke(id, self.clock.now()).await?;
        revoked.ok_or_else(|| ErrorKind::SessionNotFound.into())
    }

    /// Revokes all sessions of an agent in one step. This also works for an agent that the
    /// directory no longer contains.
    ///
    /// # Errors
    /// `AgentNotFound` if there were no sessions and the directory does not contain the agent; `StoreUnavailable`.
    pub async fn revoke_agent(&self, agent: AgentId) -> Result<AgentRevoked, AuthError> {
        let revoked = self.store.revoke_agent(agent, self.clock.now()).await?;
        if revoked.active == 0 && !self.directory.contains(agent).await? {
            return Err(ErrorKind::AgentNotFound.into());
        }
        Ok(revoked)
    }
}
