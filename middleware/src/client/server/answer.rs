//! The meaning of the session server's responses.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode, header};
use serde::Deserialize;

use crate::{
    client::{
        challenge,
        error::{OpenError, SessionOver},
        storage::SavedSession,
    },
    error::ErrorKind,
    id::SessionId,
};

/// The maximum length of a header value in an error message, in bytes.
const MAX_QUOTE: usize = 200;

/// The meaning of a response to the check at the start.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum CheckAnswer {
    /// The session server has answered.
    Confirmed,
    /// The session server cannot verify this token: it does not have its key, for example.
    TokenNotAccepted,
    /// No session server has answered yet.
    Unavailable(String),
}

/// The meaning of a response to a renewal.
#[derive(Debug)]
pub(in crate::client) enum RenewalAnswer {
    Renewed(SavedSession),
    /// The session can be renewed after this time.
    TooEarly(Duration),
    /// The session has another token.
    TokenReplaced,
    /// The session has reached its maximum of renewals. Its token is valid until it expires.
    LimitReached,
    Over(SessionOver),
    /// The response is not final: send the renewal again, `after` at least this time.
    Retry {
        reason: String,
        after: Duration,
    },
}

/// The kind of error in a problem document.
pub(in crate::client) fn problem_kind(body: &[u8]) -> Option<ErrorKind> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    ErrorKind::from_code(&problem.code)
}

pub(super) fn interpret_check(
    response: &Response<Bytes>,
    id: SessionId,
    url: String,
) -> Result<CheckAnswer, OpenError> {
    #[derive(Deserialize)]
    struct OwnSession {
        id: SessionId,
    }
    let status = response.status();
    if is_redirect(status) {
        let location = quote(response, header::LOCATION)
            .unwrap_or("(no Location)")
            .to_owned();
        return Err(OpenError::Redirect {
            url,
            status,
            location,
        });
    }
    let temporary = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || temporary.contains(&status) {
        return Ok(CheckAnswer::Unavailable(status.to_string()));
    }
    let own = serde_json::from_slice::<OwnSession>(response.body());
    match problem_kind(response.body()) {
        // A session server has this path under its base URI.
        Some(ErrorKind::NotFound | ErrorKind::MethodNotAllowed) => {}
        Some(ErrorKind::InvalidToken) => return Ok(CheckAnswer::TokenNotAccepted),
        Some(_) => return Ok(CheckAnswer::Confirmed),
        None if status == StatusCode::OK && own.is_ok_and(|own| own.id == id) => {
            return Ok(CheckAnswer::Confirmed);
        }
        // A proxy may have replaced the body.
        None if status == StatusCode::UNAUTHORIZED && challenge::rejects_token(response.headers()) => {
            return Ok(CheckAnswer::Confirmed);
        }
        None => {}
    }
    let answer = quote(response, header::CONTENT_TYPE)
        .unwrap_or("no content type")
        .to_owned();
    Err(OpenError::NotASessionServer { url, status, answer })
}

/// `after` is the response's `Retry-After`.
pub(super) fn interpret_renewal(
    response: &Response<Bytes>,
    session: &SavedSession,
    after: Option<Duration>,
) -> RenewalAnswer {
    let status = response.status();
    if status == StatusCode::OK {
        return renewed(response.body(), session).unwrap_or_else(|| RenewalAnswer::Retry {
            reason: "the answer is 200, but it is not a renewed session".to_owned(),
            after: Duration::ZERO,
        });
    }
    let is_final = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let kind = problem_kind(response.body()).filter(|_| is_final);
    match kind {
        Some(ErrorKind::RenewalTooEarly) => {
            let second = Duration::from_secs(1);
            return RenewalAnswer::TooEarly(after.map_or(second, |after| after.max(second)));
        }
        Some(ErrorKind::SessionRenewalMismatch) => return RenewalAnswer::TokenReplaced,
        Some(ErrorKind::RenewalLimitReached) => return RenewalAnswer::LimitReached,
        _ => {}
    }
    if let Some(over) = kind.and_then(SessionOver::from_kind) {
        return RenewalAnswer::Over(over);
    }
    let reason = match (kind, quote(response, header::LOCATION)) {
        (Some(kind), _) => kind.code().to_owned(),
        (None, Some(location)) if is_redirect(status) => format!("{status}: redirects to {location}"),
        _ => status.to_string(),
    };
    RenewalAnswer::Retry {
        reason,
        after: after.unwrap_or_default(),
    }
}

fn renewed(body: &[u8], session: &SavedSession) -> Option<RenewalAnswer> {
    let renewed: SavedSession = serde_json::from_slice(body).ok()?;
    let valid = renewed.id == session.id && renewed.token != session.token;
    valid.then_some(RenewalAnswer::Renewed(SavedSession {
        pending_key: None,
        ..renewed
    }))
}

fn is_redirect(status: StatusCode) -> bool {
    status.is_redirection() && status != StatusCode::NOT_MODIFIED
}

/// A header's value for a message.
fn quote(response: &Response<Bytes>, name: HeaderName) -> Option<&str> {
    let value = response.headers().get(name)?.to_str().ok()?;
    // `to_str` gives ASCII only, so any index is a character's boundary.
    Some(value.get(..MAX_QUOTE).unwrap_or(value))
}
