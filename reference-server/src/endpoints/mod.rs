//! What the server does for a request that was let pass.

mod agents;
mod own_session;
mod paging;
mod sessions;

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body::Body;
use http_body_util::Full;
use serde_json::json;
use tower::BoxError;
use tower_session_auth::{
    AuthError, ErrorKind,
    response::problem_response,
    store::{AgentStore, SessionStore},
};

use crate::{
    app::{App, REALM},
    output::{self, Answer},
    routes::Matched,
};

/// Every endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    CreateAgent,
    ListAgents,
    GetAgent,
    DeleteAgent,
    CreateSession,
    ListSessions,
    RevokeSessions,
    GetSession,
    RevokeSession,
    RenewSession,
    RotateSession,
    GetOwnSession,
    RevokeOwnSession,
    Health,
    Ready,
    Metrics,
}

/// Answers a routed request.
pub(crate) async fn answer<S, B>(
    app: Arc<App<S>>,
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    S: SessionStore + AgentStore,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let (parts, body) = request.into_parts();
    let answer = dispatch(&app, &parts, body).await;
    Ok(answer.unwrap_or_else(|error| problem_response(&error, REALM, &parts.headers)))
}

async fn dispatch<S, B>(app: &App<S>, parts: &Parts, body: B) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let matched: &Matched = extension(parts)?;
    let id = matched.id.as_deref();
    match matched.endpoint {
        Endpoint::CreateAgent => agents::create(app, parts, body).await,
        Endpoint::ListAgents => agents::list(app, &parts.uri).await,
        Endpoint::GetAgent => agents::get(app, id).await,
        Endpoint::DeleteAgent => agents::delete(app, id).await,
        Endpoint::CreateSession => sessions::create(app, parts, body).await,
        Endpoint::ListSessions => sessions::list(app, &parts.uri).await,
        Endpoint::RevokeSessions => sessions::revoke_all(app, &parts.uri).await,
        Endpoint::GetSession => sessions::get(app, id).await,
        Endpoint::RevokeSession => sessions::revoke(app, id).await,
        Endpoint::RenewSession => own_session::renew(app, parts, id, extension(parts)?).await,
        Endpoint::RotateSession => sessions::rotate(app, id).await,
        Endpoint::GetOwnSession => own_session::get(extension(parts)?),
        Endpoint::RevokeOwnSession => own_session::revoke(app, extension(parts)?).await,
        Endpoint::Health => output::json(StatusCode::OK, &json!({ "status": "ok" })),
        Endpoint::Ready => {
            app.store.ping().await?;
            output::json(StatusCode::OK, &json!({ "status": "ready" }))
        }
        Endpoint::Metrics => output::metrics(&app.metrics),
    }
}

/// What routing and the layers left for the endpoints. That it is missing would be a defect in the wiring.
fn extension<T: Send + Sync + 'static>(parts: &Parts) -> Result<&T, AuthError> {
    parts
        .extensions
        .get()
        .ok_or_else(|| ErrorKind::InternalError.into())
}
