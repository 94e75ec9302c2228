use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower::Service;

use super::X_MASTER_PASSWORD;
use crate::{
    auth_future::{AuthFuture, Authorize},
    error::AuthError,
    response::{Rejections, ResponseBody},
};

pin_project! {
    /// The response future of [`MasterAuth`](crate::master_auth::MasterAuth).
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        future: AuthFuture<Verifying, S, S::Future, B>,
    }
}

/// The remaining verification of a password. Argon2 is slow, so boxing its future costs nothing measurable.
pub(super) enum Verification {
    Done,
    Argon2(Pin<Box<dyn Future<Output = Result<(), AuthError>> + Send>>),
}

struct Verifying {
    verification: Verification,
    rejections: Arc<Rejections>,
}

impl Authorize for Verifying {
    fn poll_authorize<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>> {
        // The inner service may log its headers: the value prints as `Sensitive`.
        if let Some(password) = request.headers_mut().get_mut(X_MASTER_PASSWORD) {
            password.set_sensitive(true);
        }
        match &mut self.verification {
            Verification::Done => Poll::Ready(Ok(())),
            Verification::Argon2(verify) => verify.as_mut().poll(cx),
        }
    }

    fn rejections(&self) -> &Rejections {
        &self.rejections
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) const fn rejected(response: Response<Full<Bytes>>) -> Self {
        Self {
            future: AuthFuture::rejected(response),
        }
    }

    pub(super) const fn verify(
        verification: Verification,
        rejections: Arc<Rejections>,
        request: Request<B>,
        inner: S,
    ) -> Self {
        let verifying = Verifying {
            verification,
            rejections,
        };
        Self {
            future: AuthFuture::authorizing(verifying, request, inner),
        }
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx)
    }
}

impl<S, B> std::fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
