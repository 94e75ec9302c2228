//! The future that both layers share: first the verdict, then the inner service.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower::Service;

use crate::{error::AuthError, response::ResponseBody};

/// Decides about a request, and answers it when it is refused.
pub(crate) trait Verdict {
    fn poll_verdict<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        request: &mut Request<B>,
    ) -> Poll<Result<(), AuthError>>;

    fn reject(&self, error: &AuthError, request_headers: &HeaderMap) -> Response<Full<Bytes>>;
}

pin_project! {
    /// Calls the inner service once the verdict let the request pass and the service is ready.
    #[project = GuardedProj]
    pub(crate) enum Guarded<V, S, F, B> {
        Rejected { response: Option<Response<Full<Bytes>>> },
        Deciding {
            #[pin]
            verdict: V,
            request: Option<Request<B>>,
            inner: Option<S>,
        },
        Readying { inner: S, request: Option<Request<B>> },
        Responding { #[pin] response: F },
    }
}

impl<V, S, F, B> Guarded<V, S, F, B> {
    pub(crate) const fn rejected(response: Response<Full<Bytes>>) -> Self {
        Self::Rejected {
            response: Some(response),
        }
    }

    pub(crate) const fn passed(request: Request<B>, inner: S) -> Self {
        Self::Readying {
            inner,
            request: Some(request),
        }
    }

    pub(crate) const fn deciding(verdict: V, request: Request<B>, inner: S) -> Self {
        Self::Deciding {
            verdict,
            request: Some(request),
            inner: Some(inner),
        }
    }
}

impl<V, S, B, ResBody> Future for Guarded<V, S, S::Future, B>
where
    V: Verdict,
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    #[expect(
        clippy::expect_used,
        reason = "polling a future after it is ready is the caller's defect"
    )]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const DONE: &str = "polled after completion";
        loop {
            let next = match self.as_mut().project() {
                GuardedProj::Rejected { response } => {
                    let response = response.take().expect(DONE);
                    return Poll::Ready(Ok(response.map(ResponseBody::rejection)));
                }
                GuardedProj::Deciding {
                    mut verdict,
                    request,
                    inner,
                } => {
                    let pending = request.as_mut().expect(DONE);
                    let decision = ready!(verdict.as_mut().poll_verdict(cx, pending));
                    let request = request.take().expect(DONE);
                    match decision {
                        Ok(()) => Self::Readying {
                            inner: inner.take().expect(DONE),
                            request: Some(request),
                        },
                        Err(error) => Self::rejected(verdict.reject(&error, request.headers())),
                    }
                }
                GuardedProj::Readying { inner, request } => {
                    ready!(inner.poll_ready(cx))?;
                    Self::Responding {
                        response: inner.call(request.take().expect(DONE)),
                    }
                }
                GuardedProj::Responding { response } => {
                    let response = ready!(response.poll(cx))?;
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                }
            };
            self.set(next);
        }
    }
}
