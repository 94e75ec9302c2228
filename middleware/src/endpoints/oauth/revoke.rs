use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Body;
use http_body_util::Full;
use tower::BoxError;

use super::{
    super::{output::Answer, state::State},
    form, verify,
};
use crate::{
    error::{AuthError, ErrorKind},
    master_auth::Administrator,
    store::{AgentStore, SessionStore},
    token::VerifiedToken,
};

/// `POST /v1/revoke`: revokes the session of a token.
///
/// Without an administrator, the token is the credential, so it must be the current token of its session. An administrator can revoke by any
/// token of the session. The response to a token that does not work is 200 too: the client can do nothing about it (RFC 7009, section 2.2).
///
/// # Errors
/// Among others, for the previous token of a session while it still works. Its holder must not end the session of the others, and a 200 would
/// say that the token no longer works.
pub(in super::super) async fn revoke<S, B>(
    state: &State<S>,
    admin: Option<&Administrator>,
    headers: &HeaderMap,
    body: B,
) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    let token = form::token(headers, body).await?;
    if let Some(token) = verify(state, &token)? {
        let may_revoke = match admin {
            Some(admin) => {
                admin.require_agent(token.claims().agent_id)?;
                true
            }
            None => is_current(state, &token).await?,
        };
        if may_revoke {
            revoke_session(state, &token).await?;
        }
    }
    let mut response = Response::new(Full::<Bytes>::default());
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// True for the current token of a session. Also if the session is revoked: a repetition waits again for its acknowledgements.
async fn is_current<S: SessionStore + AgentStore>(
    state: &State<S>,
    token: &VerifiedToken,
) -> Result<bool, AuthError> {
    let record = match state.sessions.check(token).await {
        Ok(record) => record,
        Err(error) if error.kind() == ErrorKind::SessionRevoked => {
            // The record can expire in between.
            match state.sessions.get(token.claims().session_id).await {
                Err(error) if error.kind() == ErrorKind::SessionNotFound => return Ok(false),
                record => record?,
            }
        }
        Err(error) if error.kind().status().is_server_error() => return Err(error),
        Err(_) => return Ok(false),
    };
    let is_current = record.token_hash == *token.hash();
    if !is_current && record.revoked_at.is_none() {
        let problem = "was replaced, and works until its overlap ends: send the current token";
        return Err(AuthError::invalid_field("token", problem));
    }
    Ok(is_current)
}

/// Revokes the session. A revocation that is not durable is a 503, so that the client repeats it (RFC 7009, section 2.2.1).
async fn revoke_session<S: SessionStore + AgentStore>(
    state: &State<S>,
    token: &VerifiedToken,
) -> Result<(), AuthError> {
    match state.sessions.revoke(token.claims().session_id).await {
        Ok(revoked) if revoked.durable == Some(false) => Err(AuthError::new(ErrorKind::StoreUnavailable)
            .with_detail("The session is revoked, but not yet on all required servers.")),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::SessionNotFound => Ok(()),
        Err(error) => Err(error),
    }
}
