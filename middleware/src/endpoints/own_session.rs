//! The caller's own session: renewal, `GET` and `DELETE /v1/session`.

use http::{StatusCode, request::Parts};

use super::{
    output::{self, Answer},
    state::State,
};
use crate::{
    api::{IssuedSessionBody, RevokedBody, SessionBody},
    error::{AuthError, ErrorKind},
    session::IdempotencyKey,
    session_auth::{AuthenticatedSession, PresentedSession},
    store::{AgentStore, SessionStore},
};

/// Renews the session. The layer has checked that the id in the path is that of the token.
pub(super) async fn renew<S: SessionStore + AgentStore>(
    state: &State<S>,
    parts: &Parts,
    presented: &PresentedSession,
) -> Answer {
    let key = IdempotencyKey::from_headers(&parts.headers)?;
    let issued = state.sessions.renew(presented, key.as_ref()).await?;
    output::json(StatusCode::OK, &IssuedSessionBody::renewed(&issued))
}

/// Returns the session as the layer read it.
pub(super) fn get(own: &AuthenticatedSession) -> Answer {
    output::json(StatusCode::OK, &SessionBody::of_caller(own))
}

/// Revokes the session. This needs the current token: a worker that still holds the previous token must not end the session of
/// the others.
pub(super) async fn revoke<S: SessionStore + AgentStore>(
    state: &State<S>,
    own: &AuthenticatedSession,
) -> Answer {
    if own.previous_token {
        return Err(AuthError::for_token(ErrorKind::TokenSuperseded));
    }
    let revoked = state.sessions.revoke(own.session_id).await?;
    output::revocation(revoked.durable, &RevokedBody::new(own.session_id, revoked))
}
