//! Rejections of gRPC requests.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use http_body_util::Full;

use super::{
    ProtectionSpace,
    problem::{NO_STORE, challenges},
    rejections::RequestHead,
};
use crate::error::AuthError;

const GRPC: &[u8] = b"application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// True if a request is a gRPC call (gRPC over HTTP/2, section Requests): `POST`, HTTP/2 and a gRPC content type.
///
/// All three are needed. A proxy that asks an auth service over HTTP/1.1 judges by the HTTP status, and its client chooses the content
/// type: a rejection with the status 200 would admit the request.
pub(super) fn is_call(request: RequestHead<'_>) -> bool {
    *request.method == Method::POST && request.version == Version::HTTP_2 && has_grpc_type(request.headers)
}

/// True if the `Content-Type` is that of gRPC: `application/grpc`, followed by nothing, `+`, `-`, `;` or a space.
pub(crate) fn has_grpc_type(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE);
    media_type.is_some_and(|media_type| {
        let media_type = media_type.as_bytes().to_ascii_lowercase();
        let rest = media_type.strip_prefix(GRPC);
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b'-' | b';' | b' ' | b'\t')))
    })
}

/// A gRPC rejection: a trailers-only response (gRPC over HTTP/2, section Responses) with the status `grpc-status`, the error's code
/// and text in `grpc-message`, and the HTTP status 200. The error is added to the extensions of the response.
///
/// A gRPC client sees 401 as `UNAUTHENTICATED` (16), 403 as `PERMISSION_DENIED` (7), 429 as `RESOURCE_EXHAUSTED` (8) and 503 as
/// `UNAVAILABLE` (14). `WWW-Authenticate` and `Retry-After` are sent as metadata.
#[must_use]
pub fn grpc_response(
    error: &AuthError,
    space: impl Into<ProtectionSpace>,
    request_headers: &HeaderMap,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    // A gRPC-Web client expects its own media type.
    let media_type = request_headers.get(header::CONTENT_TYPE).cloned();
    headers.insert(
        header::CONTENT_TYPE,
        media_type.unwrap_or(HeaderValue::from_static("application/grpc")),
    );
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(GRPC_STATUS, HeaderValue::from(code_of(error.status())));
    if let Ok(message) = HeaderValue::try_from(percent_encoded(&error.to_string())) {
        headers.insert(GRPC_MESSAGE, message);
    }
    for challenge in challenges(error, &space.into()) {
        headers.append(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(error.clone());
    response
}

/// The gRPC status code for an HTTP status (`google.rpc.Code`).
pub(crate) fn code_of(status: StatusCode) -> u16 {
    match status {
        StatusCode::BAD_REQUEST => 3,
        StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::NOT_FOUND => 5,
        StatusCode::FORBIDDEN => 7,
        StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::UNAUTHORIZED => 16,
        _ => 13,
    }
}

/// The encoding of `grpc-message`: every byte outside `%x20-24 / %x26-7E` is percent-encoded.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if matches!(byte, b' '..=b'$' | b'&'..=b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
