use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::Service;

use super::layer::VerifyOnlyConfig;
use crate::{
    auth_future::{AuthFuture, Authorize},
    error::AuthError,
    response::{Rejections, ResponseBody},
    token::{Refreshing, RejectedToken, VerifiedToken},
};

/// The service of [`VerifyOnlyLayer`](super::VerifyOnlyLayer).
#[derive(Clone)]
pub struct VerifyOnly<S> {
    config: Arc<VerifyOnlyConfig>,
    inner: S,
}

impl<S> VerifyOnly<S> {
    pub(super) const fn new(config: Arc<VerifyOnlyConfig>, inner: S) -> Self {
        Self { config, inner }
    }
}

impl<S, B, ResBody> Service<Request<B>> for VerifyOnly<S>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = VerifyOnlyFuture<S, B>;

    /// Always ready. The inner service is driven to readiness after a request was admitted.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let config = &self.config;
        let (mut parts, body) = request.into_parts();
        let checked = config.verifier.check_request(&parts.uri, &parts.headers);
        config.verifier.redact(&mut parts.headers);
        let future = match checked {
            Ok(token) => match config.unexpired(token, &parts.headers) {
                Ok(token) => {
                    parts.extensions.insert(token);
                    config.settings.rejections.requests().admitted();
                    AuthFuture::admitted(Request::from_parts(parts, body), self.inner.clone())
                }
                Err(error) => AuthFuture::rejected(config.settings.rejections.respond(&error, &parts)),
            },
            Err(RejectedToken {
                refreshing: Some(refreshing),
                ..
            }) => {
                let check = RefreshCheck {
                    refreshing,
                    parts: parts.clone(),
                    config: config.clone(),
                };
                AuthFuture::authorizing(check, Request::from_parts(parts, body), self.inner.clone())
            }
            Err(rejected) => {
                AuthFuture::rejected(config.settings.rejections.respond(&rejected.error, &parts))
            }
        };
        VerifyOnlyFuture { future }
    }
}

impl VerifyOnlyConfig {
    /// Rule 3.
    fn unexpired(&self, token: VerifiedToken, headers: &HeaderMap) -> Result<VerifiedToken, AuthError> {
        let Err(kind) = token.check_expiry(self.settings.clock.now()) else {
            return Ok(token);
        };
        let claims = token.claims();
        let error = AuthError::for_token(kind).with_session(claims.session_id, claims.agent_id);
        Err(self.verifier.with_key_id_of(error, headers))
    }

    /// Checks a request again after a refresh of the keys.
    fn check_again(&self, parts: &Parts, is_absent: bool) -> Result<VerifiedToken, AuthError> {
        let token = self.verifier.check_refreshed(parts, is_absent)?;
        self.unexpired(token, &parts.headers)
    }
}

/// Waits for a refresh of the keys, then checks the request again.
struct RefreshCheck {
    refreshing: Refreshing,
    parts: Parts,
    config: Arc<VerifyOnlyConfig>,
}

impl Authorize for RefreshCheck {
    fn poll_authorize<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>> {
        let is_absent = ready!(self.refreshing.as_mut().poll(cx));
        let token = self.config.check_again(&self.parts, is_absent)?;
        request.extensions_mut().insert(token);
        Poll::Ready(Ok(()))
    }

    fn rejections(&self) -> &Rejections {
        &self.config.settings.rejections
    }
}

pin_project! {
    /// The response future of [`VerifyOnly`].
    pub struct VerifyOnlyFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        future: AuthFuture<RefreshCheck, S, S::Future, B>,
    }
}

impl<S, B, ResBody> Future for VerifyOnlyFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx)
    }
}

impl<S, B> std::fmt::Debug for VerifyOnlyFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOnlyFuture").finish_non_exhaustive()
    }
}

impl<S> std::fmt::Debug for VerifyOnly<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOnly").finish_non_exhaustive()
    }
}
