use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::Service;

use super::layer::RequireScopeConfig;
use crate::{
    auth_future::AuthFuture,
    error::{AuthError, MissingLayer},
    response::ResponseBody,
    session_auth::{AuthenticatedSession, NoSession},
};

/// The service of [`RequireScopeLayer`](super::RequireScopeLayer).
#[derive(Clone)]
pub struct RequireScope<S> {
    config: Arc<RequireScopeConfig>,
    inner: S,
}

impl<S> RequireScope<S> {
    pub(super) const fn new(config: Arc<RequireScopeConfig>, inner: S) -> Self {
        Self { config, inner }
    }
}

impl<S, B, ResBody> Service<Request<B>> for RequireScope<S>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = RequireScopeFuture<S, B>;

    /// Always ready. The inner service is driven to readiness after a request was admitted.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let rejections = &self.config.settings.rejections;
        let future = match self.config.check(request.extensions()) {
            Ok(()) => {
                rejections.requests().admitted();
                AuthFuture::admitted(request, self.inner.clone())
            }
            Err(error) => AuthFuture::rejected(rejections.respond(&error, &request)),
        };
        RequireScopeFuture { future }
    }
}

impl RequireScopeConfig {
    fn check(&self, extensions: &Extensions) -> Result<(), AuthError> {
        if let Some(session) = extensions.get::<AuthenticatedSession>() {
            let checked = self.requirement.check(&session.scopes);
            return checked.map_err(|error| error.with_session(session.session_id, session.agent_id));
        }
        Err(match extensions.get::<NoSession>() {
            Some(none) => none.error.clone(),
            None => MissingLayer("SessionAuthLayer").into(),
        })
    }
}

pin_project! {
    /// The response future of [`RequireScope`].
    pub struct RequireScopeFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        future: AuthFuture<Infallible, S, S::Future, B>,
    }
}

impl<S, B, ResBody> Future for RequireScopeFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx)
    }
}

impl<S, B> std::fmt::Debug for RequireScopeFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequireScopeFuture").finish_non_exhaustive()
    }
}

impl<S> std::fmt::Debug for RequireScope<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequireScope").finish_non_exhaustive()
    }
}
