//! The layer for HTTP clients.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Layer, Service, ServiceExt};

use super::{
    rejection::examine,
    resend::{CloneBody, CopyBody, CopyWith, SendOnce},
    session::ClientSession,
};
use crate::response::ResponseBody;

/// The maximum number of times that a request is sent again because its token was replaced.
const MAX_RESENDS: u32 = 3;

/// Adds a session's token to requests. See [`client`](super) for the rules.
///
/// # Sending again
///
/// A renewal may replace the token while a request is in flight, and the service then rejects the request. The layer adopts the
/// new token or renews the session, so that the next request is admitted. The rejected request is handled as configured:
///
/// | layer | bodies | a rejected request |
/// |---|---|---|
/// | `session.layer()` | any | its response, mostly a 401, goes to the caller |
/// | `….resend_cloned()` | `Clone`, such as `Full<Bytes>` | is sent again with the new token |
/// | `….resend_with(copy)` | those that `copy` copies | is sent again if there is a copy |
///
/// The first is the default because it works with every client, and because a stream cannot be read twice. Sending again is
/// safe: the layer that rejects the request does not forward it to its service.
#[derive(Debug, Clone)]
pub struct ClientSessionLayer<C = SendOnce> {
    session: ClientSession,
    copy: C,
}

/// The service of [`ClientSessionLayer`].
///
/// Its error is a [`SessionOver`](super::SessionOver) if the session is over, and otherwise the inner service's error.
#[derive(Debug, Clone)]
pub struct ClientSessionService<S, C = SendOnce> {
    session: ClientSession,
    copy: C,
    inner: S,
}

impl ClientSession {
    /// A layer for HTTP clients that adds the token to requests.
    #[must_use]
    pub fn layer(&self) -> ClientSessionLayer {
        ClientSessionLayer {
            session: self.clone(),
            copy: SendOnce,
        }
    }
}

impl<C> ClientSessionLayer<C> {
    /// Sends rejected requests again, with a clone of their body. The body is cloned before each request.
    #[must_use]
    pub fn resend_cloned(self) -> ClientSessionLayer<CloneBody> {
        ClientSessionLayer {
            session: self.session,
            copy: CloneBody,
        }
    }

    /// Sends rejected requests again if `copy` returns a copy of their body. It is called before each request.
    ///
    /// ```
    /// # use tower_session_auth::client::ClientSession;
    /// # fn example(session: &ClientSession) {
    /// use axum::body::Body;
    /// use http_body::Body as _;
    ///
    /// // A body of axum, tonic or reqwest is not `Clone`, but an empty one is easily made again.
    /// let layer = session
    ///     .layer()
    ///     .resend_with(|body: &Body| body.is_end_stream().then(Body::empty));
    /// # drop(layer);
    /// # }
    /// ```
    #[must_use]
    pub fn resend_with<B, F: Fn(&B) -> Option<B>>(self, copy: F) -> ClientSessionLayer<CopyWith<F>> {
        ClientSessionLayer {
            session: self.session,
            copy: CopyWith(copy),
        }
    }
}

impl<S, C: Clone> Layer<S> for ClientSessionLayer<C> {
    type Service = ClientSessionService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientSessionService {
            session: self.session.clone(),
            copy: self.copy.clone(),
            inner,
        }
    }
}

impl<S, C, ReqBody, ResBody> Service<Request<ReqBody>> for ClientSessionService<S, C>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    C: CopyBody<ReqBody> + Clone + Send + 'static,
    ReqBody: Send + 'static,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = BoxError;
    type Future = ResponseFuture<Self::Response>;

    /// Always ready. The inner service is driven to readiness after a token is available. A request that waits for a renewal
    /// must not hold the capacity that the renewal needs.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Self { session, copy, inner } = self.clone();
        ResponseFuture(Box::pin(async move {
            let (parts, mut body) = request.into_parts();
            let mut resends = 0..MAX_RESENDS;
            loop {
                let token = session.token().await?;
                let next_body = resends.next().and_then(|_| copy.copy(&body));
                let mut request = Request::from_parts(parts.clone(), body);
                session.shared.header.insert(request.headers_mut(), &token)?;
                let response = inner.clone().oneshot(request).await.map_err(Into::into)?;
                let (response, rejection) = examine(response).await?;
                let Some(kind) = rejection else {
                    return Ok(response);
                };
                let replaced = session.token_rejected(&token, kind).await?;
                match next_body {
                    Some(next) if replaced => body = next,
                    _ => return Ok(response),
                }
            }
        }))
    }
}

/// The response future of [`ClientSessionService`].
pub struct ResponseFuture<R>(Pin<Box<dyn Future<Output = Result<R, BoxError>> + Send>>);

impl<R> Future for ResponseFuture<R> {
    type Output = Result<R, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R> fmt::Debug for ResponseFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
