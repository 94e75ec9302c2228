//! The response future of all layers: first the authorization, then the inner service.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower::Service;

use crate::{
    error::AuthError,
    response::{Rejections, RequestHead, ResponseBody},
};

/// Authorizes a request, or builds the response that rejects it.
pub(crate) trait Authorize {
    /// Admits the request or returns the error of its rejection. May add extensions to the request.
    fn poll_authorize<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>>;

    /// How the layer answers and counts requests.
    fn rejections(&self) -> &Rejections;

    /// The response to a rejected request.
    fn reject(&self, error: &AuthError, request: RequestHead<'_>) -> Response<Full<Bytes>> {
        self.rejections().respond(error, request)
    }
}

/// The authorization of a layer that decides without waiting.
impl Authorize for Infallible {
    fn poll_authorize<B>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>> {
        match *self {}
    }

    fn rejections(&self) -> &Rejections {
        match *self {}
    }
}

pin_project! {
    /// Calls the inner service after the request was authorized and the service is ready.
    #[project = AuthFutureProj]
    pub(crate) enum AuthFuture<A, S, F, B> {
        Rejected { response: Option<Response<Full<Bytes>>> },
        Authorizing {
            #[pin]
            authorize: A,
            request: Option<Request<B>>,
            inner: Option<S>,
        },
        WaitingUntilReady { inner: S, request: Option<Request<B>> },
        Responding { #[pin] response: F },
    }
}

impl<A, S, F, B> AuthFuture<A, S, F, B> {
    pub(crate) const fn rejected(response: Response<Full<Bytes>>) -> Self {
        Self::Rejected {
            response: Some(response),
        }
    }

    pub(crate) const fn admitted(request: Request<B>, inner: S) -> Self {
        Self::WaitingUntilReady {
            inner,
            request: Some(request),
        }
    }

    pub(crate) const fn authorizing(authorize: A, request: Request<B>, inner: S) -> Self {
        Self::Authorizing {
            authorize,
            request: Some(request),
            inner: Some(inner),
        }
    }
}

impl<A, S, B, ResBody> Future for AuthFuture<A, S, S::Future, B>
where
    A: Authorize,
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    #[expect(
        clippy::expect_used,
        reason = "polling a future after it is ready is a bug of the caller"
    )]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const DONE: &str = "polled after completion";
        loop {
            let next = match self.as_mut().project() {
                AuthFutureProj::Rejected { response } => {
                    let response = response.take().expect(DONE);
                    return Poll::Ready(Ok(response.map(ResponseBody::own)));
                }
                AuthFutureProj::Authorizing {
                    mut authorize,
                    request,
                    inner,
                } => {
                    let pending = request.as_mut().expect(DONE);
                    let outcome = ready!(authorize.as_mut().poll_authorize(cx, pending));
                    let request = request.take().expect(DONE);
                    match outcome {
                        Ok(()) => {
                            authorize.rejections().requests().admitted();
                            Self::admitted(request, inner.take().expect(DONE))
                        }
                        Err(error) => Self::rejected(authorize.reject(&error, RequestHead::from(&request))),
                    }
                }
                AuthFutureProj::WaitingUntilReady { inner, request } => {
                    ready!(inner.poll_ready(cx))?;
                    Self::Responding {
                        response: inner.call(request.take().expect(DONE)),
                    }
                }
                AuthFutureProj::Responding { response } => {
                    let response = ready!(response.poll(cx))?;
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                }
            };
            self.set(next);
        }
    }
}
