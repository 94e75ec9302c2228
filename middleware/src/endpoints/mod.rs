//! [`Endpoints`]: the HTTP API as a tower service, for any server.
//!
//! | request | authentication |
//! |---|---|
//! | `POST` `GET /v1/agents`, `GET` `DELETE /v1/agents/{id}` | administrator with the right `agents` |
//! | `POST /v1/sessions` | administrator with the right `open` |
//! | `GET /v1/sessions`, `GET /v1/sessions/{id}` | administrator with the right `list` |
//! | `DELETE /v1/sessions`, `DELETE /v1/sessions/{id}` | administrator with the right `revoke` |
//! | `POST /v1/sessions/{id}/rotate` | administrator with the right `rotate` |
//! | `PUT /v1/sessions/{id}/renew` | the session's own token |
//! | `GET` `DELETE /v1/session` | session token |
//! | any method on `/v1/auth`, and on every path below it | session token |
//! | `POST /v1/introspect` (RFC 7662) | administrator with the right `introspect` |
//! | `POST /v1/revoke` (RFC 7009) | the token in the form, or an administrator with the right `revoke` |
//! | gRPC `envoy.service.auth.v3.Authorization/Check` (feature `ext-authz`) | session token in the checked request |
//! | `GET /.well-known/oauth-protected-resource` (RFC 9728) | none |
//! | `GET /v1/keys`, `GET /openapi.json`, `GET /healthz`, `GET /readyz` | none |
//!
//! Mount it in axum with `fallback_service` or, under a prefix, with `nest_service`; in hyper through
//! `hyper_util::service::TowerToHyperService`; in tonic through its axum router. It answers every request, and an unknown path
//! with a 404. It limits a body to 64 KiB, a form to 8 KiB, and a gRPC message to 128 KiB. The server must limit time and connections.

mod agents;
mod date;
#[cfg(feature = "ext-authz")]
mod ext_authz;
mod forward_auth;
mod handler;
mod health;
mod input;
mod keys;
mod oauth;
mod openapi;
mod output;
mod own_session;
mod paging;
mod permitted;
mod resource_metadata;
mod routes;
mod sessions;
mod state;
#[cfg(test)]
mod tests;

#[cfg(feature = "ext-authz")]
pub use ext_authz::{PATH as EXT_AUTHZ_PATH, is_check_call};
pub use forward_auth::is_forward_auth;
pub(crate) use health::Readiness;
pub(crate) use state::State;

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::Full;
use tower::{BoxError, Layer, Service, ServiceExt};

use self::{
    forward_auth::ForwardAuth,
    handler::{Handler, refuse},
    routes::{Access, NoRoute},
};
use crate::{
    error::{AuthError, ErrorKind},
    master_auth::{Administrator, X_MASTER_PASSWORD},
    response::{ResponseBody, X_REQUEST_ID, ensure_request_id, problem_response},
    store::{AgentStore, SessionStore},
};

/// The HTTP API as a tower service. [`SessionAuthority::endpoints`](crate::SessionAuthority::endpoints) makes it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_session_auth::{KeySet, MasterAuthLayer, MemoryStore, SessionAuthority, SigningKey};
///
/// let keys = KeySet::single(SigningKey::generate()?);
/// let authority = SessionAuthority::builder(keys, MemoryStore::new()).build()?;
/// // As `session-auth-server hash-password` prints it.
/// let admin = MasterAuthLayer::new("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
///                                   WFXMnDdAUAWzKxjo4CUJEHe8hdlxZHJGIjAqAQFSRrE")?;
/// let app: axum::Router = axum::Router::new()
///     .nest_service("/auth", authority.endpoints(admin));
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
pub struct Endpoints<S: SessionStore> {
    state: Arc<State<S>>,
}

impl<S: SessionStore> Clone for Endpoints<S> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
        }
    }
}

impl<S: SessionStore + AgentStore> Endpoints<S> {
    pub(crate) fn new(state: State<S>) -> Self {
        Self {
            state: Arc::new(state),
        }
    }

    /// Makes `/readyz` a 503 while the store answers and refuses writes. By default it is a 200 with the status `degraded`: sessions are
    /// still checked, and a load balancer that takes all servers out would end that.
    #[must_use]
    pub fn unready_without_writes(self) -> Self {
        self.state.unready_without_writes.store(true, Ordering::Relaxed);
        self
    }
}

impl<S, B> Service<Request<B>> for Endpoints<S>
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody<Full<Bytes>>>;
    type Error = Infallible;
    type Future = EndpointsFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let state = self.state.clone();
        EndpointsFuture(Box::pin(async move {
            let id = ensure_request_id(request.headers_mut());
            let mut response = authenticate(state.clone(), request).await?;
            let headers = response.headers_mut();
            headers.insert(X_REQUEST_ID, id);
            headers.insert(header::DATE, date::of(state.clock.now()));
            Ok(response)
        }))
    }
}

/// Finds the route and checks the request as far as no credential is needed.
async fn authenticate<S, B>(
    state: Arc<State<S>>,
    mut request: Request<B>,
) -> Result<Response<ResponseBody<Full<Bytes>>>, Infallible>
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    #[cfg(feature = "ext-authz")]
    if ext_authz::is_path(request.uri().path()) {
        return Ok(ext_authz::serve(state, request).await);
    }
    if forward_auth::is_forward_auth(request.uri().path()) {
        return state
            .session
            .layer(ForwardAuth(state.clone()))
            .oneshot(request)
            .await;
    }
    let matched = match routes::find(request.method(), request.uri().path()) {
        Ok(matched) => matched,
        Err(none) => return Ok(no_route(&none, &request, &state).map(ResponseBody::inner)),
    };
    let access = matched.access;
    // Before any credential is checked, so that a client stops early.
    let limit = if access.is_oauth() {
        oauth::MAX_FORM
    } else {
        input::MAX_BODY
    };
    if input::is_declared_too_long(request.headers(), limit) {
        let response = refuse(
            &ErrorKind::PayloadTooLarge.into(),
            access,
            &state,
            request.headers(),
        );
        return Ok(response.map(ResponseBody::inner));
    }
    request.extensions_mut().insert(matched);
    if !access.is_oauth() {
        return admit(&state, access, request).await;
    }
    // The body is read first: after an early 401, hyper closes the connection, and a client that reuses it loses its next request.
    let (parts, body) = request.into_parts();
    match input::read(body, limit).await {
        Ok(body) => {
            admit(
                &state,
                access,
                Request::from_parts(parts, Full::<Bytes>::from(body)),
            )
            .await
        }
        Err(error) => Ok(refuse(&error, access, &state, &parts.headers).map(ResponseBody::inner)),
    }
}

/// Sends the request through the layer that the route requires.
async fn admit<S, B>(
    state: &Arc<State<S>>,
    access: Access,
    mut request: Request<B>,
) -> Result<Response<ResponseBody<Full<Bytes>>>, Infallible>
where
    S: SessionStore + AgentStore,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let handler = Handler(state.clone());
    match access {
        Access::Public => Ok(handler.oneshot(request).await?.map(ResponseBody::inner)),
        Access::Admin(right) => {
            let admin = state.admin.clone().right(right);
            admin.layer(handler).oneshot(request).await
        }
        Access::OAuthClient(right) => state.oauth_client(right).layer(handler).oneshot(request).await,
        Access::TokenOrOAuthClient(right) => {
            // An inner service may have set it.
            request.extensions_mut().remove::<Administrator>();
            let credentials = [header::AUTHORIZATION, X_MASTER_PASSWORD];
            if credentials
                .iter()
                .any(|name| request.headers().contains_key(name))
            {
                state.oauth_client(right).layer(handler).oneshot(request).await
            } else {
                Ok(handler.oneshot(request).await?.map(ResponseBody::inner))
            }
        }
        Access::Session => state.session.layer(handler).oneshot(request).await,
        Access::StrictSession => state.strict_session.layer(handler).oneshot(request).await,
        Access::Renewal => state.renewal.layer(handler).oneshot(request).await,
    }
}

fn no_route<S: SessionStore, B>(
    none: &NoRoute,
    request: &Request<B>,
    state: &State<S>,
) -> Response<Full<Bytes>> {
    let kind = match none {
        NoRoute::NotFound => ErrorKind::NotFound,
        NoRoute::MethodNotAllowed(_) => ErrorKind::MethodNotAllowed,
    };
    let error = AuthError::new(kind);
    state.rejections.count(&error);
    let mut response = problem_response(&error, &state.space, request.headers());
    if let NoRoute::MethodNotAllowed(allowed) = none
        && let Ok(allowed) = HeaderValue::try_from(allowed)
    {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// The response future of [`Endpoints`].
pub struct EndpointsFuture(Pin<Box<dyn Future<Output = EndpointsResult> + Send>>);

type EndpointsResult = Result<Response<ResponseBody<Full<Bytes>>>, Infallible>;

impl Future for EndpointsFuture {
    type Output = EndpointsResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for EndpointsFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointsFuture(..)")
    }
}

impl<S: SessionStore> fmt::Debug for Endpoints<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").finish_non_exhaustive()
    }
}
