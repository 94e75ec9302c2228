use super::{IssuedSession, SessionManager};
use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind},
    id::SessionId,
    session::{CreateSession, SessionRecord},
    store::{AgentDirectory, CreateOutcome, NewSession, SessionStore},
    token::Claims,
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Creates a session and issues its first token.
    ///
    /// # Errors
    /// `ValidationFailed`, `AgentNotFound`, `SessionLimitExceeded`, `StoreUnavailable`, `InternalError`. After
    /// `StoreUnavailable` the store may hold a session whose token was never delivered. The store revokes it as soon as it can.
    pub async fn create(&self, request: CreateSession) -> Result<IssuedSession, AuthError> {
        let now_millis = self.clock.now_millis();
        let now = Timestamp::from_millis(now_millis);
        let agent_id = request.agent_id;
        let limits = self.policy.grant(&request, now)?;
        if !self.directory.contains(agent_id).await? {
            return Err(ErrorKind::AgentNotFound.into());
        }
        let id = SessionId::generate(agent_id, now_millis)
            .map_err(|error| AuthError::new(ErrorKind::InternalError).with_internal_cause(error))?;
        let expires_at = id.created_at().plus(limits.ttl).min(limits.absolute_expires_at);
        let token = self.sign(&Claims::new(id, agent_id, 0, now, expires_at))?;
        let mut record = SessionRecord::new(id, agent_id, token.hash(), &limits);
        record.constraints = request.constraints;
        let session = NewSession::new(record, &self.policy, now);
        match self.store.create(&session).await? {
            CreateOutcome::Created { evicted } => {
                for oldest in &evicted {
                    tracing::info!(agent = %agent_id, session = %id, evicted = %oldest, "session created in place of another");
                }
                Ok(IssuedSession {
                    evicted,
                    ..IssuedSession::new(session.record, token)
                })
            }
            CreateOutcome::LimitReached => Err(ErrorKind::SessionLimitExceeded.into()),
            CreateOutcome::AgentDeleted => Err(ErrorKind::AgentNotFound.into()),
        }
    }
}
