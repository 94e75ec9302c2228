use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::Service;

use super::{RenewalFuture, check::RenewalCheck, layer::RenewalConfig};
use crate::{response::ResponseBody, store::SessionStore};

/// The service of [`RenewalLayer`](super::RenewalLayer).
#[derive(Clone)]
pub struct RenewalAuth<St, S> {
    config: Arc<RenewalConfig<St>>,
    inner: S,
}

impl<St, S> RenewalAuth<St, S> {
    pub(super) const fn new(config: Arc<RenewalConfig<St>>, inner: S) -> Self {
        Self { config, inner }
    }
}

impl<St, S, ReqBody, ResBody> Service<Request<ReqBody>> for RenewalAuth<St, S>
where
    St: SessionStore,
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = RenewalFuture<St, S, ReqBody>;

    /// Always ready. The inner service is driven to readiness after a request was admitted.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let verified = self.config.verifier.verify_request(&parts);
        self.config.verifier.redact(&mut parts.headers);
        match verified {
            Ok(token) => {
                let check = RenewalCheck {
                    read: self.config.store.read(token.claims().session_id),
                    config: self.config.clone(),
                    token,
                    key_id: self.config.verifier.key_id_of(&parts.headers),
                    named: (self.config.session_id)(&parts),
                };
                RenewalFuture::checking(check, Request::from_parts(parts, body), self.inner.clone())
            }
            Err(error) => RenewalFuture::rejected(self.config.settings.rejections.respond(&error, &parts)),
        }
    }
}

impl<St, S> std::fmt::Debug for RenewalAuth<St, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenewalAuth").finish_non_exhaustive()
    }
}
