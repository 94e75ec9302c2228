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

use super::check::SessionCheck;
use crate::{auth_future::AuthFuture, response::ResponseBody, store::SessionStore};

pin_project! {
    /// The response future of [`SessionAuth`](super::SessionAuth).
    pub struct ResponseFuture<St, S, B>
    where
        St: SessionStore,
        S: Service<Request<B>>,
    {
        #[pin]
        future: AuthFuture<SessionCheck<St>, S, S::Future, B>,
    }
}

impl<St, S, B> ResponseFuture<St, S, B>
where
    St: SessionStore,
    S: Service<Request<B>>,
{
    pub(super) const fn rejected(response: Response<Full<Bytes>>) -> Self {
        Self {
            future: AuthFuture::rejected(response),
        }
    }

    pub(super) const fn admitted(request: Request<B>, inner: S) -> Self {
        Self {
            future: AuthFuture::admitted(request, inner),
        }
    }

    pub(super) const fn checking(check: SessionCheck<St>, request: Request<B>, inner: S) -> Self {
        Self {
            future: AuthFuture::authorizing(check, request, inner),
        }
    }
}

impl<St, S, B, ResBody> Future for ResponseFuture<St, S, B>
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

impl<St, S, B> std::fmt::Debug for ResponseFuture<St, S, B>
where
    St: SessionStore,
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
