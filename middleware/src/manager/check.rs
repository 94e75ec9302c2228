use super::SessionManager;
use crate::{
    error::{AuthError, ErrorKind},
    session::{SessionRecord, decide, decide::Rejection},
    store::{AgentDirectory, SessionStore},
    token::VerifiedToken,
};

impl<S: SessionStore, D: AgentDirectory> SessionManager<S, D> {
    /// Checks a verified token against the record of its session, as a strict [`SessionAuthLayer`](crate::SessionAuthLayer) does: for a
    /// token that is not the credential of the request, as in token introspection (RFC 7662). Returns the session.
    ///
    /// # Errors
    /// Those of [`decide::admit`]; `SessionNotFound`, `StoreUnavailable`.
    pub async fn check(&self, token: &VerifiedToken) -> Result<SessionRecord, AuthError> {
        let Some(record) = self.store.read(token.claims().session_id).await? else {
            // A store removes a session some time after its expiry.
            let expiry = token.check_expiry(self.clock.now());
            return Err(match expiry {
                Err(kind) => Rejection::by_expiry(kind).to_error(),
                Ok(()) => AuthError::for_token(ErrorKind::SessionNotFound),
            });
        };
        let now = self.clock.now();
        match decide::admit(&record, token, now) {
            Ok(_) => Ok(record),
            Err(rejection) => Err(self
                .events
                .handle(rejection, &record, token, &self.store, now)
                .await),
        }
    }
}
