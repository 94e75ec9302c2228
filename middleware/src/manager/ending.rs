use super::SessionManager;
use crate::{
    error::{AuthError, ErrorKind},
    id::{AgentId, SessionId},
    store::{AgentDirectory, SessionStore},
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Revokes a session: its token is refused from the next request on. Repeating it changes nothing.
    ///
    /// # Errors
    /// `SessionNotFound`, `StoreUnavailable`.
    pub async fn revoke(&self, id: SessionId) -> Result<(), AuthError> {
        if self.store.revoke(id, self.clock.now()).await? {
            Ok(())
        } else {
            Err(ErrorKind::SessionNotFound.into())
        }
    }

    /// Revokes all sessions of an agent in one step and answers how many were active. An agent that the directory no
    /// longer knows can still be cut off.
    ///
    /// # Errors
    /// `AgentNotFound` when there were no sessions and the directory does not know the agent; `StoreUnavailable`.
    pub async fn revoke_agent(&self, agent: AgentId) -> Result<u32, AuthError> {
        let revoked = self.store.revoke_agent(agent, self.clock.now()).await?;
        if revoked == 0 && !self.directory.contains(agent).await? {
            return Err(ErrorKind::AgentNotFound.into());
        }
        Ok(revoked)
    }
}
