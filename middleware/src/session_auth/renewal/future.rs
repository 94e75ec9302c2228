use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower::Service;

use super::check::RenewalCheck;
use crate::{auth_future::AuthFuture, response::ResponseBody, store::SessionStore};

pin_project! {
    /// The response future of [`RenewalAuth`](super::RenewalAuth).
    pub struct RenewalFuture<St, S, B>
    where
        St: SessionStore,
        S: Service<Request<B>>,
    {
        #[pin]
        future: AuthFuture<RenewalCheck<St>, S, S::Future, B>,
    }
}

impl<St, S, B> RenewalFuture<St, S, B>
where
    St: SessionStore,
    S: Service<Request<B>>,
{
    pub(super) const fn rejected(response: Response<Full<Bytes>>) -> Self {
        Self {
            future: AuthFuture::rejected(response),
        }
    }

    pub(super) const fn checking(check: RenewalCheck<St>, request: Request<B>, inner: S) -> Self {
        Self {
            future: AuthFuture::authorizing(check, request, inner),
        }
    }
}

impl<St, S, B, ResBody> Future for RenewalFuture<St, S, B>
where
    St: SessionStore,
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx)
    }
}

impl<St, S, B> std::fmt::Debug for RenewalFuture<St, S, B>
where
    St: SessionStore,
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenewalFuture").finish_non_exhaustive()
    }
}
