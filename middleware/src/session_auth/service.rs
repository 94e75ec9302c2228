use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::Service;

use super::{
    AuthenticatedSession, ResponseFuture, check::FirstStep, config::SessionAuthConfig, extension::NoSession,
};
use crate::{response::ResponseBody, store::SessionStore};

/// The service of [`SessionAuthLayer`](super::SessionAuthLayer).
#[derive(Clone)]
pub struct SessionAuth<St: SessionStore, S> {
    config: Arc<SessionAuthConfig<St>>,
    inner: S,
}

impl<St: SessionStore, S> SessionAuth<St, S> {
    pub(super) const fn new(config: Arc<SessionAuthConfig<St>>, inner: S) -> Self {
        Self { config, inner }
    }
}

impl<St, S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionAuth<St, S>
where
    St: SessionStore,
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<St, S, ReqBody>;

    /// Always ready. The inner service is driven to readiness after a request was admitted, so that requests without a session
    /// never hold its capacity.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let config = &self.config;
        match config.verify(&mut request) {
            Ok(token) => match config.first_step(token) {
                FirstStep::Admitted(session) => {
                    config.settings.rejections.requests().admitted();
                    request.extensions_mut().insert(session);
                    ResponseFuture::admitted(request, self.inner.clone())
                }
                FirstStep::Read(check) => ResponseFuture::checking(check, request, self.inner.clone()),
            },
            Err(error) if config.optional && error.is_missing_token() => {
                config.settings.rejections.requests().anonymous();
                let rejections = config.settings.rejections.clone();
                // An outer layer may have set another session.
                request.extensions_mut().remove::<AuthenticatedSession>();
                request.extensions_mut().insert(NoSession { error, rejections });
                ResponseFuture::admitted(request, self.inner.clone())
            }
            Err(error) => ResponseFuture::rejected(config.settings.rejections.respond(&error, &request)),
        }
    }
}

impl<St: SessionStore, S> std::fmt::Debug for SessionAuth<St, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionAuth").finish_non_exhaustive()
    }
}
