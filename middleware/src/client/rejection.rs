//! Recognises responses that reject the session's token.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::BoxError;

use super::{
    challenge,
    server::{MAX_ANSWER, problem_kind},
};
use crate::{
    error::ErrorKind,
    response::{ResponseBody, has_grpc_type},
};

/// The status code UNAUTHENTICATED of gRPC.
const UNAUTHENTICATED: &str = "16";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Checks if a response rejects the token, and for which reason. Returns the response unchanged.
///
/// Two responses reject it: a 401 whose challenge has `error="invalid_token"`, and a gRPC response that consists of trailers
/// only, with the status UNAUTHENTICATED. A problem document or a gRPC message of this crate contains the reason. If a proxy
/// removed the reason, the token counts as replaced until the session server confirms or denies that.
pub(super) async fn examine<B>(
    response: Response<B>,
) -> Result<(Response<ResponseBody<B>>, Option<ErrorKind>), BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    if is_grpc_rejection(&response) {
        let kind = assumed(grpc_kind(response.headers()));
        return Ok((response.map(ResponseBody::inner), kind));
    }
    if response.status() != StatusCode::UNAUTHORIZED || !challenge::rejects_token(response.headers()) {
        return Ok((response.map(ResponseBody::inner), None));
    }
    // Other bodies and long ones are not read.
    let length = response.body().size_hint().exact();
    let short = length.is_some_and(|length| length <= MAX_ANSWER as u64);
    if !short || !has_type(response.headers(), "application/problem+json") {
        return Ok((response.map(ResponseBody::inner), assumed(None)));
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    let kind = assumed(problem_kind(&body));
    let body = ResponseBody::own(Full::from(body));
    Ok((Response::from_parts(parts, body), kind))
}

fn is_grpc_rejection<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    let status = headers.get(GRPC_STATUS);
    response.status() == StatusCode::OK
        && has_grpc_type(headers)
        && status.is_some_and(|status| status.as_bytes().trim_ascii() == UNAUTHENTICATED.as_bytes())
}

/// The session layer's gRPC messages begin with the code: `SESSION_REVOKED: …`.
fn grpc_kind(headers: &HeaderMap) -> Option<ErrorKind> {
    let message = headers.get(GRPC_MESSAGE)?.to_str().ok()?;
    let code = message.split(':').next()?.trim();
    ErrorKind::from_code(code)
}

/// True if the content type starts with this text, such as `application/grpc` for `application/grpc+proto`.
fn has_type(headers: &HeaderMap, start: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let value = value.and_then(|value| value.get(..start.len()));
    value.is_some_and(|value| value.eq_ignore_ascii_case(start.as_bytes()))
}

/// The reason for a rejection, if it is about the session. `INVALID_TOKEN` is not: this one service may not accept the key, the
/// issuer or the audience, and no renewal changes that.
fn assumed(kind: Option<ErrorKind>) -> Option<ErrorKind> {
    match kind {
        None => Some(ErrorKind::TokenSuperseded),
        Some(
            ErrorKind::TokenSuperseded
            | ErrorKind::TokenExpired
            | ErrorKind::SessionRevoked
            | ErrorKind::SessionNotFound
            | ErrorKind::SessionStateLost,
        ) => kind,
        Some(_) => None,
    }
}
