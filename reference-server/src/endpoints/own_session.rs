//! What an agent does with its own session.

use http::{StatusCode, request::Parts};
use tower_session_auth::{
    AuthError, AuthenticatedSession, ErrorKind, SessionId,
    session::IdempotencyKey,
    session_auth::PresentedSession,
    store::{AgentStore, SessionStore},
};

use crate::{
    app::App,
    input,
    output::{self, Answer, IssuedBody, RevokedBody, SessionBody},
};

pub(super) async fn renew<S: SessionStore + AgentStore>(
    app: &App<S>,
    parts: &Parts,
    id: Option<&str>,
    presented: &PresentedSession,
) -> Answer {
    let id: SessionId = input::id(id)?;
    let key = IdempotencyKey::from_headers(&parts.headers)?;
    if id != presented.session_id() {
        return Err(ErrorKind::SessionNotFound.into());
    }
    let issued = app.sessions.renew(presented, key.as_ref()).await?;
    output::json(StatusCode::OK, &IssuedBody::renewed(&issued))
}

/// All of it was read by the layer.
pub(super) fn get(own: &AuthenticatedSession) -> Answer {
    output::json(StatusCode::OK, &SessionBody::of_caller(own))
}

/// A worker that has not heard of the renewal yet must not end the session of the others.
pub(super) async fn revoke<S: SessionStore + AgentStore>(app: &App<S>, own: &AuthenticatedSession) -> Answer {
    if own.previous_token {
        return Err(AuthError::token(ErrorKind::TokenSuperseded));
    }
    app.sessions.revoke(own.session_id).await?;
    output::json(StatusCode::OK, &RevokedBody::new(own.session_id))
}
