//! The layer for HTTP clients.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Layer, Service, ServiceExt};

use super::{
    ClientSession,
    endpoint::{MAX_ANSWER, bearer, problem},
};
use crate::{error::ErrorKind, response::ResponseBody};

/// How often a request is sent again because its token was replaced.
const RESENDS: u32 = 3;

/// Attaches a session's token to requests. See [`client`](super) for the rules.
#[derive(Debug, Clone)]
pub struct ClientSessionLayer {
    session: ClientSession,
}

/// The service of [`ClientSessionLayer`].
///
/// Its error is a [`SessionOver`](super::SessionOver) when the session is over, else that of the inner service.
#[derive(Debug, Clone)]
pub struct ClientSessionService<S> {
    session: ClientSession,
    inner: S,
}

impl ClientSessionLayer {
    pub(super) const fn new(session: ClientSession) -> Self {
        Self { session }
    }
}

impl<S> Layer<S> for ClientSessionLayer {
    type Service = ClientSessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientSessionService {
            session: self.session.clone(),
            inner,
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ClientSessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    ReqBody: Clone + Send + 'static,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = BoxError;
    type Future = ResponseFuture<Self::Response>;

    /// Always ready. The inner service is driven to readiness once there is a token: a request that waits for a renewal must not
    /// hold the capacity that the renewal needs.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let (session, inner) = (self.session.clone(), self.inner.clone());
        ResponseFuture(Box::pin(async move {
            let mut resends = 0..RESENDS;
            loop {
                let token = session.token().await?;
                request
                    .headers_mut()
                    .insert(header::AUTHORIZATION, bearer(&token)?);
                let response = inner.clone().oneshot(request.clone()).await.map_err(Into::into)?;
                let (response, refusal) = examine(response).await?;
                let send_again = match refusal {
                    Some(kind) => session.refused(&token, kind).await?,
                    None => false,
                };
                if !send_again || resends.next().is_none() {
                    return Ok(response);
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

/// Finds out whether a response is a refusal of the token, and why. It reads no other response than a short problem document
/// with the status 401, and hands that on as it was. Where the length is not said, as behind a layer that compresses, it
/// assumes that the token was replaced, which the session server then confirms or not.
async fn examine<B>(response: Response<B>) -> Result<(Response<ResponseBody<B>>, Option<ErrorKind>), BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let about_token = response.status() == StatusCode::UNAUTHORIZED
        && says(response.headers(), header::WWW_AUTHENTICATE, "invalid_token")
        && says(
            response.headers(),
            header::CONTENT_TYPE,
            "application/problem+json",
        );
    let length = response.body().size_hint().exact();
    if !about_token || length.is_none_or(|length| length > MAX_ANSWER as u64) {
        let assumed = about_token.then_some(ErrorKind::TokenSuperseded);
        return Ok((response.map(ResponseBody::inner), assumed));
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    let kind = problem(&body).filter(|kind| is_about_the_session(*kind));
    let body = ResponseBody::rejection(Full::from(body));
    Ok((Response::from_parts(parts, body), kind))
}

fn says(headers: &HeaderMap, name: HeaderName, text: &str) -> bool {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains(text))
}

/// What a renewal or a sibling's token may mend, or what ends the session. `INVALID_TOKEN` does neither: it may be about this one
/// service, which does not accept the key, the issuer or the audience.
const fn is_about_the_session(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TokenSuperseded
            | ErrorKind::TokenExpired
            | ErrorKind::SessionRevoked
            | ErrorKind::SessionNotFound
            | ErrorKind::SessionStateLost
    )
}
