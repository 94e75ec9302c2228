use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use crate::{
    error::{AuthError, ErrorKind},
    response::{ProtectionSpace, problem_response},
};

/// An error in the shape of RFC 6749, section 5.2, with the status and the headers of the problem document.
pub(in super::super) fn error_response(
    error: &AuthError,
    space: &ProtectionSpace,
    request_headers: &HeaderMap,
) -> Response<Full<Bytes>> {
    let mut response = problem_response(error, space, request_headers);
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    let body = json!({ "error": code(error.kind()), "error_description": description(error) });
    *response.body_mut() = Full::from(body.to_string());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The codes of RFC 6749, sections 4.1.2.1 and 5.2.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidMasterPassword => "invalid_client",
        ErrorKind::Forbidden => "unauthorized_client",
        _ if kind.retryable() => "temporarily_unavailable",
        _ if kind.status().is_client_error() => "invalid_request",
        _ => "server_error",
    }
}

/// The text for people. RFC 6749, section 5.2, excludes `"`, `\` and characters outside of ASCII.
fn description(error: &AuthError) -> String {
    let text = match error.issues() {
        [] => error.detail().to_owned(),
        issues => {
            let issues = issues
                .iter()
                .map(|issue| format!("{} {}", issue.path, issue.message));
            issues.collect::<Vec<_>>().join("; ")
        }
    };
    let is_allowed = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    text.chars().filter(is_allowed).collect()
}
