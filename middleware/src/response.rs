//! The one place that turns an [`AuthError`] into an HTTP answer, and the body type of the layers' responses.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;
use serde::Serialize;

use crate::error::{AuthError, Challenge, ValidationIssue};

/// The header that carries the id of a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A problem document (RFC 9457) with the extension members of this system.
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

/// The answer to a refused request: status, `application/problem+json`, and the headers that belong to the error
/// (`WWW-Authenticate`, `Retry-After`, `Cache-Control: no-store`). The error goes into the response's extensions.
///
/// `realm` is the protection space of the challenge; `request_headers` give the `X-Request-Id` to repeat.
#[must_use]
pub fn problem_response(
    error: &AuthError,
    realm: &str,
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
    // Plain strings and numbers always serialise; an empty body would still carry the right status.
    let body = serde_json::to_vec(&problem).unwrap_or_default();

    let mut response = Response::new(Full::from(body));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if let Some(challenge) = challenge(error.challenge(), realm) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(error.clone());
    response
}

/// `SESSION_REVOKED` reads "Session revoked".
fn title(code: &str) -> String {
    let words = code.to_ascii_lowercase().replace('_', " ");
    let mut chars = words.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn challenge(challenge: Challenge, realm: &str) -> Option<HeaderValue> {
    // What cannot stand in a quoted string unescaped is left out.
    let realm: String = realm
        .chars()
        .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
        .collect();
    let value = match challenge {
        Challenge::None => return None,
        Challenge::BearerMissing => format!("Bearer realm=\"{realm}\""),
        Challenge::BearerInvalid => format!("Bearer realm=\"{realm}\", error=\"invalid_token\""),
        Challenge::MasterPassword => format!("MasterPassword realm=\"{realm}\""),
    };
    HeaderValue::try_from(value).ok()
}

pin_project! {
    /// The body of a layer's response: the inner service's own, or a rejection's.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Rejection { #[pin] body: Full<Bytes> },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) const fn inner(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
        }
    }

    pub(crate) const fn rejection(body: Full<Bytes>) -> Self {
        Self {
            kind: Kind::Rejection { body },
        }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    /// An inner body: outer layers such as tower-http's `Timeout` make their own answers of it.
    fn default() -> Self {
        Self::inner(B::default())
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Rejection { body } => body.poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Rejection { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Rejection { body } => body.size_hint(),
        }
    }
}

type Respond = dyn Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync;

/// How a layer answers refusals.
#[derive(Clone)]
pub(crate) struct Rejections {
    realm: String,
    respond: Option<Arc<Respond>>,
}

impl Default for Rejections {
    fn default() -> Self {
        Self {
            realm: "session".to_owned(),
            respond: None,
        }
    }
}

impl Rejections {
    pub(crate) fn set_realm(&mut self, realm: &str) {
        realm.clone_into(&mut self.realm);
    }

    pub(crate) fn replace(
        &mut self,
        respond: impl Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) {
        self.respond = Some(Arc::new(respond));
    }

    pub(crate) fn respond(&self, error: &AuthError, request_headers: &HeaderMap) -> Response<Full<Bytes>> {
        tracing::debug!(code = error.kind().code(), "request refused");
        match &self.respond {
            None => problem_response(error, &self.realm, request_headers),
            Some(respond) => {
                let mut response = respond(error, request_headers);
                response.extensions_mut().insert(error.clone());
                response
            }
        }
    }
}

#[cfg(test)]
mod tests;
