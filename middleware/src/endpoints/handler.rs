//! [`Handler`]: the call of the endpoint that the route has, and the responses to its errors.

use std::{
    any::type_name,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request, Response, request::Parts};
use http_body::Body;
use http_body_util::Full;
use tower::{BoxError, Service};

use super::{
    agents, health, keys, oauth, openapi,
    output::Answer,
    own_session, resource_metadata,
    routes::{Access, Endpoint, Matched},
    sessions,
    state::State,
};
use crate::{
    error::{AuthError, ErrorKind},
    response::{SessionIds, problem_response},
    session_auth::{AuthenticatedSession, PresentedSession},
    store::{AgentStore, SessionStore},
};

/// Calls the endpoint of an authorized request.
pub(super) struct Handler<S: SessionStore>(pub(super) Arc<State<S>>);

impl<S: SessionStore> Clone for Handler<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, B> Service<Request<B>> for Handler<S>
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let session = session_of(&parts.extensions);
            let answer = dispatch(&state, &parts, body).await;
            let matched = parts.extensions.get::<Matched>();
            let access = matched.map_or(Access::Public, |matched| matched.access);
            Ok(respond(answer, session, access, &state, &parts.headers))
        })
    }
}

/// The response with an answer. `session` is that of the request, if a layer has verified its token.
pub(super) fn respond<S: SessionStore>(
    answer: Answer,
    session: Option<SessionIds>,
    access: Access,
    state: &State<S>,
    headers: &HeaderMap,
) -> Response<Full<Bytes>> {
    let mut response = answer.unwrap_or_else(|error| {
        let error = match session {
            Some(SessionIds { session_id, agent_id }) => {
                let error = error.with_session(session_id, agent_id);
                state.verifier.with_key_id_of(error, headers)
            }
            None => error,
        };
        refuse(&error, access, state, headers)
    });
    if let Some(session) = session {
        response.extensions_mut().insert(session);
    }
    response
}

/// The response to a request that an endpoint refuses.
pub(super) fn refuse<S: SessionStore>(
    error: &AuthError,
    access: Access,
    state: &State<S>,
    headers: &HeaderMap,
) -> Response<Full<Bytes>> {
    state.rejections.count(error);
    error.log();
    if access.is_oauth() {
        oauth::error_response(error, &state.space, headers)
    } else {
        problem_response(error, &state.space, headers)
    }
}

/// The session that a layer has found.
pub(super) fn session_of(extensions: &Extensions) -> Option<SessionIds> {
    let authenticated = extensions
        .get::<AuthenticatedSession>()
        .map(|session| SessionIds::new(session.session_id, session.agent_id));
    authenticated.or_else(|| {
        let record = extensions.get::<PresentedSession>()?.record();
        Some(SessionIds::new(record.id, record.agent_id))
    })
}

async fn dispatch<S, B>(state: &State<S>, parts: &Parts, body: B) -> Answer
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>> + Send,
{
    let matched: &Matched = extension(&parts.extensions)?;
    let id = matched.id.as_deref();
    match matched.endpoint {
        Endpoint::CreateAgent => agents::create(state, extension(&parts.extensions)?, parts, body).await,
        Endpoint::ListAgents => agents::list(state, extension(&parts.extensions)?, &parts.uri).await,
        Endpoint::GetAgent => agents::get(state, extension(&parts.extensions)?, id).await,
        Endpoint::DeleteAgent => agents::delete(state, extension(&parts.extensions)?, id).await,
        Endpoint::CreateSession => sessions::create(state, extension(&parts.extensions)?, parts, body).await,
        Endpoint::ListSessions => sessions::list(state, extension(&parts.extensions)?, &parts.uri).await,
        Endpoint::RevokeSessions => {
            sessions::revoke_all(state, extension(&parts.extensions)?, &parts.uri).await
        }
        Endpoint::GetSession => sessions::get(state, extension(&parts.extensions)?, id).await,
        Endpoint::RevokeSession => sessions::revoke(state, extension(&parts.extensions)?, id).await,
        Endpoint::RenewSession => own_session::renew(state, parts, extension(&parts.extensions)?).await,
        Endpoint::RotateSession => sessions::rotate(state, extension(&parts.extensions)?, id).await,
        Endpoint::GetOwnSession => own_session::get(extension(&parts.extensions)?),
        Endpoint::RevokeOwnSession => own_session::revoke(state, extension(&parts.extensions)?).await,
        Endpoint::Introspect => {
            oauth::introspect(state, extension(&parts.extensions)?, &parts.headers, body).await
        }
        Endpoint::RevokeToken => oauth::revoke(state, parts.extensions.get(), &parts.headers, body).await,
        Endpoint::ResourceMetadata => resource_metadata::get(state, &parts.uri),
        Endpoint::ListKeys => keys::list(state),
        Endpoint::OpenApi => openapi::respond(state),
        Endpoint::Health => health::health(),
        Endpoint::Ready => health::ready(state).await,
    }
}

/// An extension that routing or a layer added. If it is missing, a layer is missing or in the wrong order.
pub(super) fn extension<T: Send + Sync + 'static>(extensions: &Extensions) -> Result<&T, AuthError> {
    extensions.get().ok_or_else(|| {
        AuthError::new(ErrorKind::InternalError).with_internal_cause(MissingExtension(type_name::<T>()))
    })
}

#[derive(Debug, thiserror::Error)]
#[error("no layer has set {0}")]
struct MissingExtension(&'static str);
