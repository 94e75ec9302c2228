use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower::Service;

use super::{layer::Gate, service::Stop};
use crate::{
    error::AuthError,
    guarded::{Guarded, Verdict},
    response::ResponseBody,
    store::SessionStore,
    token::VerifiedToken,
};

pin_project! {
    /// The response future of [`SessionAuth`](crate::session_auth::SessionAuth).
    pub struct ResponseFuture<St, S, B>
    where
        St: SessionStore,
        S: Service<Request<B>>,
    {
        #[pin]
        guarded: Guarded<Reading<St, St::Read>, S, S::Future, B>,
    }
}

pin_project! {
    /// Waits for the store's answer about a proven token.
    struct Reading<St, R>
    where
        St: SessionStore,
    {
        #[pin]
        read: R,
        gate: Arc<Gate<St>>,
        token: VerifiedToken,
        // What is done about a suspicious token before it is refused.
        suspecting: Option<Pin<Box<dyn Future<Output = AuthError> + Send>>>,
    }
}

impl<St: SessionStore> Verdict for Reading<St, St::Read> {
    fn poll_verdict<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>> {
        let this = self.project();
        let suspecting = match this.suspecting {
            Some(suspecting) => suspecting,
            None => {
                let answer = ready!(this.read.poll(cx));
                match this.gate.admit(*this.token, answer, request) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(Stop::Refused(error)) => return Poll::Ready(Err(error)),
                    Err(Stop::Suspected(why)) => {
                        let gate = this.gate.clone();
                        this.suspecting.insert(gate.suspect(why, *this.token))
                    }
                }
            }
        };
        suspecting.as_mut().poll(cx).map(Err)
    }

    fn reject(&self, error: &AuthError, request_headers: &HeaderMap) -> Response<Full<Bytes>> {
        self.gate.rejections.respond(error, request_headers)
    }
}

impl<St, S, B> ResponseFuture<St, S, B>
where
    St: SessionStore,
    S: Service<Request<B>>,
{
    pub(super) const fn rejected(response: Response<Full<Bytes>>) -> Self {
        Self {
            guarded: Guarded::rejected(response),
        }
    }

    pub(super) const fn passed(request: Request<B>, inner: S) -> Self {
        Self {
            guarded: Guarded::passed(request, inner),
        }
    }

    pub(super) fn deciding(
        read: St::Read,
        gate: Arc<Gate<St>>,
        token: VerifiedToken,
        request: Request<B>,
        inner: S,
    ) -> Self {
        Self {
            guarded: Guarded::deciding(
                Reading {
                    read,
                    gate,
                    token,
                    suspecting: None,
                },
                request,
                inner,
            ),
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
        self.project().guarded.poll(cx)
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
