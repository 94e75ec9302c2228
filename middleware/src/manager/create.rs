use super::{IssuedSession, SessionManager, key_reused};
use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind},
    id::SessionId,
    session::{CreateSession, CreationId, RequestHash, SessionRecord, decide},
    store::{AgentDirectory, CreateOutcome, NewSession, SessionStore},
    token::Claims,
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Creates a session and issues its first token.
    ///
    /// With an [idempotency key](CreateSession::idempotency_key), the creation can be repeated within the [retry
    /// window](crate::session::ReplacedTokenPolicy::retry_window): the same key and request return the same session and token, byte
    /// for byte. A repetition takes no second place, and is possible while that token is the session's current one.
    ///
    /// # Errors
    /// `ValidationFailed`, `AgentNotFound`, `SessionLimitExceeded`, `StoreUnavailable`, `InternalError`. After
    /// `StoreUnavailable` the store may hold a session whose token was never delivered. The store revokes it as soon as it can, unless
    /// a repetition with the idempotency key has asked for it.
    ///
    /// With an idempotency key also: `ValidationFailed` if the key was used with another request, or if the first token of its
    /// session is no longer valid (see [`decide::repeat_creation`]); `SessionNotFound`.
    pub async fn create(&self, request: CreateSession) -> Result<IssuedSession, AuthError> {
        let now_millis = self.clock.now_millis();
        let now = Timestamp::from_millis(now_millis);
        let agent_id = request.agent_id;
        let limits = self.policy.grant(&request, now)?;
        let retry = request.idempotency_key.as_ref().and_then(|key| {
            let request = RequestHash::of_session(&request);
            self.retry(CreationId::of_session(agent_id, key), request, now)
        });
        if !self.directory.contains(agent_id).await? {
            return Err(ErrorKind::AgentNotFound.into());
        }
        let id = SessionId::generate(agent_id, now_millis)
            .map_err(|error| AuthError::new(ErrorKind::InternalError).with_internal_cause(error))?;
        // Only from the record, so that a repetition can sign the same claims.
        let created_at = id.created_at();
        let expires_at = created_at.plus(limits.ttl).min(limits.absolute_expires_at);
        let token = self.sign(&Claims::new(id, agent_id, 0, created_at, expires_at))?;
        let mut record = SessionRecord::new(id, agent_id, token.hash(), &limits);
        record.scopes = request.scopes;
        record.constraints = request.constraints;
        let mut session = NewSession::new(record, &self.policy, now);
        session.retry = retry;
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
            CreateOutcome::Repeated { id, evicted } => {
                let record = self.get(id).await?;
                let claims = decide::repeat_creation(&record, now).map_err(cannot_repeat)?;
                Ok(IssuedSession {
                    evicted,
                    ..self.repeat(&record, &claims)?
                })
            }
            CreateOutcome::KeyReused => Err(key_reused()),
            CreateOutcome::LimitReached => Err(ErrorKind::SessionLimitExceeded.into()),
            CreateOutcome::AgentDeleted => Err(ErrorKind::AgentNotFound.into()),
        }
    }
}

/// The error of a repetition that cannot return the first token. The administrator's credential is valid, so it is not a 401: another
/// request needs another key.
fn cannot_repeat(kind: ErrorKind) -> AuthError {
    let session = match kind {
        ErrorKind::SessionRevoked => "was revoked",
        ErrorKind::SessionAbsoluteLifetimeExceeded | ErrorKind::TokenExpired => "has expired",
        ErrorKind::TokenSuperseded => "was renewed or rotated since",
        other => return other.into(),
    };
    let message = format!("belongs to a session that {session}");
    AuthError::invalid_field("Idempotency-Key", message)
        .with_detail("The session of this idempotency key cannot be returned again. Use another key.")
}
