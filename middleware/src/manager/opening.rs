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
    /// Opens a session.
    ///
    /// # Errors
    /// `ValidationFailed`, `AgentNotFound`, `SessionLimitExceeded`, `StoreUnavailable`, `InternalError`. After
    /// `StoreUnavailable` there may be a session whose token nobody has; the store takes it away as soon as it can.
    pub async fn create(&self, request: CreateSession) -> Result<IssuedSession, AuthError> {
        let now_millis = self.clock.now_millis();
        let now = Timestamp::from_millis(now_millis);
        let agent_id = request.agent_id;
        let terms = self.policy.grant(&request, now)?;
        if !self.directory.contains(agent_id).await? {
            return Err(ErrorKind::AgentNotFound.into());
        }
        let id = SessionId::generate(agent_id, now_millis).map_err(|_| ErrorKind::InternalError)?;
        let claims = Claims {
            session_id: id,
            agent_id,
            generation: 0,
            issued_at: now,
            expires_at: terms.expires_at,
        };
        let token = self.sign(&claims)?;
        let record = SessionRecord {
            id,
            agent_id,
            token_hash: token.hash(),
            generation: 0,
            renewal_count: 0,
            max_renewals: terms.max_renewals,
            ttl: terms.ttl,
            expires_at: terms.expires_at,
            absolute_expires_at: terms.absolute_expires_at,
            last_renewed_at: None,
            previous_token_hash: None,
            retry_hash: None,
            rotated_generation: None,
            revoked_at: None,
            constraints: request.constraints,
        };
        let session = NewSession {
            record,
            limit: self.policy.max_sessions_per_agent,
            on_limit: self.policy.on_session_limit,
            retention: self.policy.retention,
            now,
        };
        match self.store.create(&session).await? {
            CreateOutcome::Done => Ok(IssuedSession::new(session.record, token)),
            CreateOutcome::InPlaceOf(evicted) => {
                for oldest in &evicted {
                    tracing::info!(agent = %agent_id, session = %id, evicted = %oldest, "a session was opened in place of another");
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
