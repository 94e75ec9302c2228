use http::{HeaderMap, StatusCode};
use http_body::Body;
use serde::Serialize;
use serde_json::json;
use tower::BoxError;

use super::{
    super::{
        output::{self, Answer},
        state::State,
    },
    form, verify,
};
use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind},
    id::{AgentId, SessionId},
    master_auth::Administrator,
    session::SessionRecord,
    store::{AgentStore, SessionStore},
    token::VerifiedToken,
};

/// The response for an active token (RFC 7662, section 2.2).
#[derive(Serialize)]
struct ActiveToken<'a> {
    active: bool,
    sub: AgentId,
    client_id: AgentId,
    exp: Timestamp,
    iat: Timestamp,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    iss: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    jti: SessionId,
    token_type: &'static str,
}

/// `POST /v1/introspect`: describes an active token. The response for any other text is `{"active": false}`, and so is that for a
/// token of an agent that the administrator's key does not permit.
pub(in super::super) async fn introspect<S, B>(
    state: &State<S>,
    admin: &Administrator,
    headers: &HeaderMap,
    body: B,
) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    let token = form::token(headers, body).await?;
    match active(state, admin, &token).await? {
        None => output::json(StatusCode::OK, &json!({ "active": false })),
        Some((token, record)) => {
            let claims = token.claims();
            output::json(
                StatusCode::OK,
                &ActiveToken {
                    active: true,
                    sub: record.agent_id,
                    client_id: record.agent_id,
                    exp: claims.expires_at,
                    iat: claims.issued_at,
                    scope: record.scopes.as_str(),
                    iss: state.verifier.expected_issuer(),
                    aud: state.verifier.expected_audience(),
                    jti: record.id,
                    token_type: "Bearer",
                },
            )
        }
    }
}

async fn active<S: SessionStore + AgentStore>(
    state: &State<S>,
    admin: &Administrator,
    token: &str,
) -> Result<Option<(VerifiedToken, SessionRecord)>, AuthError> {
    let Some(token) = verify(state, token)? else {
        return Ok(None);
    };
    if admin.require_agent(token.claims().agent_id).is_err() {
        return Ok(None);
    }
    match state.sessions.check(&token).await {
        Ok(record) => Ok(Some((token, record))),
        Err(error) if is_about_the_token(error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// True if a token was rejected. False if it could not be checked.
fn is_about_the_token(kind: ErrorKind) -> bool {
    !kind.status().is_server_error()
}
