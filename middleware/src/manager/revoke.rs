use super::SessionManager;
use crate::{
    error::{AuthError, ErrorKind},
    id::{AgentId, SessionId},
    store::{AgentDirectory, SessionStore},
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Revokes a session: its token is rejected from the next request on. A repetition has no effect.
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

    /// Revokes all sessions of an agent in one step and returns how many were active. This also works for an agent that the
    /// directory no longer contains.
    ///
    /// # Errors
    /// `AgentNotFound` if there were no sessions and the directory does not contain the agent; `StoreUnavailable`.
    pub async fn revoke_agent(&self, agent: AgentId) -> Result<u32, AuthError> {
        let revoked = self.store.revoke_agent(agent, self.clock.now()).await?;
        if revoked == 0 && !self.directory.contains(agent).await? {
            return Err(ErrorKind::AgentNotFound.into());
        }
        Ok(revoked)
    }
}
