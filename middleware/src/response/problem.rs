use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::Full;
use serde::Serialize;

use super::{ProtectionSpace, X_REQUEST_ID, protection_space::quotable};
use crate::error::{AuthError, Challenge, ValidationIssue};

const INVALID_TOKEN: &str = ", error=\"invalid_token\"";
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A problem document (RFC 9457) with the extension members of this crate.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: &'a str,
    code: &'static str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Serialize)]
struct Details<'a> {
    issues: &'a [ValidationIssue],
}

/// A problem document for an error: the status, `application/problem+json`, and the headers of the error (`WWW-Authenticate`,
/// `Retry-After`, `Cache-Control: no-store`). The error is added to the extensions of the response.
///
/// The challenge names the protection space: a realm, or a [`ProtectionSpace`]. `request_headers` hold the `X-Request-Id` that the document repeats.
#[must_use]
pub fn problem_response(
    error: &AuthError,
    space: impl Into<ProtectionSpace>,
    request_headers: &HeaderMap,
) -> Response<Full<Bytes>> {
    let code = error.kind().code();
    let problem = Problem {
        r#type: format!(
            "urn:tower-session-auth:problem:{}",
            code.to_ascii_lowercase().replace('_', "-")
        ),
        title: title(code),
        status: error.status().as_u16(),
        detail: error.detail(),
        code,
        retryable: error.kind().retryable(),
        request_id: request_headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()),
        details: (!error.issues().is_empty()).then_some(Details {
            issues: error.issues(),
        }),
    };
    // Strings and numbers always serialize. An empty body would still have the right status.
    let body = serde_json::to_vec(&problem).unwrap_or_default();

    let mut response = Response::new(Full::from(body));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    for challenge in challenges(error, &space.into()) {
        headers.append(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(error.clone());
    response
}

/// `SESSION_REVOKED` becomes "Session revoked".
fn title(code: &str) -> String {
    let words = code.to_ascii_lowercase().replace('_', " ");
    let mut chars = words.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The `WWW-Authenticate` headers of a challenge: one header for each scheme, since many clients parse only one challenge per header
/// (RFC 9110, section 11.6.1).
pub(super) fn challenges(error: &AuthError, space: &ProtectionSpace) -> impl Iterator<Item = HeaderValue> {
    let ProtectionSpace {
        realm,
        resource_metadata,
    } = space;
    let session = |parameters: &str| {
        let metadata = resource_metadata.as_ref();
        let metadata = metadata.map(|url| format!(", resource_metadata=\"{url}\""));
        vec![("Bearer", format!("{parameters}{}", metadata.unwrap_or_default()))]
    };
    let schemes = match error.challenge() {
        Challenge::None => vec![],
        Challenge::BearerMissing => session(""),
        Challenge::BearerInvalid => session(INVALID_TOKEN),
        Challenge::InsufficientScope => {
            let scope = error.required_scope();
            let scope = scope.map(|scope| format!(", scope=\"{}\"", quotable(scope)));
            session(&format!(
                ", error=\"insufficient_scope\"{}",
                scope.unwrap_or_default()
            ))
        }
        Challenge::MasterPassword => vec![("MasterPassword", String::new())],
        #[cfg(feature = "master-auth")]
        Challenge::Administrator(schemes) => {
            let error = if schemes.key_was_sent { INVALID_TOKEN } else { "" };
            let mut accepted = vec![];
            accepted.extend(schemes.master_password.then(|| ("MasterPassword", String::new())));
            accepted.extend(schemes.bearer.then(|| ("Bearer", error.to_owned())));
            accepted.extend(schemes.basic.then(|| ("Basic", String::new())));
            accepted
        }
    };
    let values = schemes.into_iter().filter_map(|(scheme, parameters)| {
        HeaderValue::try_from(format!("{scheme} realm=\"{realm}\"{parameters}")).ok()
    });
    values.collect::<Vec<_>>().into_iter()
}
