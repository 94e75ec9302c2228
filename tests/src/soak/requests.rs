//! The requests of agents, and what their responses have in common.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, header::CONTENT_TYPE};
use http_body_util::Full;
use serde_json::Value;
use tower_session_auth::master_auth::AdminSecret;

use super::{RETRY_WINDOW, Soak, connection::Answer, oracle::Token};

/// A request.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) request: Request<Full<Bytes>>,
    /// The admin key that it uses. The operator removes a key after all of its requests were answered.
    pub(super) _admin: Option<Arc<AdminSecret>>,
}

impl Soak {
    /// A request of an administrator.
    pub(super) fn admin(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        idempotency_key: Option<&str>,
    ) -> Outgoing {
        let admin = self.admins.current();
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", admin.expose()));
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = body.map_or_else(Full::default, |body| Full::from(body.to_string()));
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        Outgoing {
            request: request.expect("a request"),
            _admin: Some(admin),
        }
    }

    /// Counts a response. `None`, and a failure, if there is none, or if the server could not serve the request.
    pub(super) fn served(&self, kind: &'static str, answer: Result<Answer, String>) -> Option<Answer> {
        self.tally.count(kind);
        match answer {
            Ok(answer) if answer.status >= 500 || matches!(answer.status, 408 | 429) => {
                self.tally
                    .fail("request not served", format!("{kind}: {}", answer.describe()));
                None
            }
            Ok(answer) => Some(answer),
            Err(error) => {
                self.tally
                    .fail("request without a response", format!("{kind}: {error}"));
                None
            }
        }
    }

    /// Reports a response that is not allowed. `None` then.
    pub(super) fn check(&self, allowed: bool, what: &str, answer: &Answer) -> Option<()> {
        if allowed {
            return Some(());
        }
        let server = self.balancer.server_of(answer.client);
        let server = server.map_or_else(|| "a server".to_owned(), |number| format!("server {number}"));
        let text = format!("{what}: {server} answered {}", answer.describe());
        self.tally.fail("wrong answer", text);
        None
    }
}

/// A request with a session token.
pub(super) fn bearer(method: Method, path: &str, token: &str) -> Outgoing {
    with_key(method, path, token, None)
}

/// A request with a session token and perhaps an idempotency key.
pub(super) fn with_key(method: Method, path: &str, token: &str, key: Option<&str>) -> Outgoing {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("authorization", format!("Bearer {token}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    Outgoing {
        request: request.body(Full::default()).expect("a request"),
        _admin: None,
    }
}

/// The token of a response. `None` if it has none.
pub(super) fn token(answer: &Answer) -> Option<Token> {
    Some(Token {
        text: answer.body["token"].as_str()?.to_owned(),
        expires_at: answer.body["expiresAt"].as_u64()?,
        renew_after: answer.body["renewAfter"].as_u64()?,
        ended: None,
    })
}

/// True if the second request was surely answered within the retry window of the first one.
pub(super) fn is_in_window(first: &Answer, second: &Answer) -> bool {
    second.received.seconds < first.sent.seconds + RETRY_WINDOW
}

/// True if a token with this expiry may be rejected with this response. If its key was removed too, the token is invalid.
pub(super) fn is_expired(answer: &Answer, expires_at: u64) -> bool {
    answer.received.seconds >= expires_at && matches!(answer.code(), "TOKEN_EXPIRED" | "INVALID_TOKEN")
}
