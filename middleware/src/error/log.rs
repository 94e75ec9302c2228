//! The log event of a rejection.

use super::AuthError;

/// The target of the log events of [`AuthError::log`].
const TARGET: &str = "tower_session_auth::rejection";

impl AuthError {
    /// Logs the rejection: one event with the target `tower_session_auth::rejection` and the message `request rejected`.
    ///
    /// Its fields are `code`, `reason`, `kid`, `session`, `agent` and `cause`. The level is `ERROR` if the cause is a defect, `WARN`
    /// for any other cause, such as a store that does not answer, and `DEBUG` for a mistake of the client.
    ///
    /// Layers, endpoints and extractors call it once, where they answer the request. Call it where you answer an error of
    /// [`SessionManager`](crate::SessionManager) yourself. A server with a log line for each response can turn the target off and
    /// take the fields from the error in the extensions of the response.
    pub fn log(&self) {
        macro_rules! event {
            ($level:ident) => {
                tracing::event!(
                    target: TARGET,
                    tracing::Level::$level,
                    code = self.kind.code(),
                    reason = self.reason().as_str(),
                    kid = self.key_id(),
                    session = self.session_id().map(tracing::field::display),
                    agent = self.agent_id().map(tracing::field::display),
                    cause = self.cause.as_ref().map(tracing::field::display),
                    "request rejected"
                )
            };
        }
        match &self.cause {
            Some(_) if self.defect => event!(ERROR),
            Some(_) => event!(WARN),
            None => event!(DEBUG),
        }
    }
}
