//! Errors of the agent's side.

use http::StatusCode;
use tower::BoxError;

use crate::error::ErrorKind;

/// The reason why a session has ended. Only an administrator can create another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SessionOver {
    /// `SESSION_REVOKED`
    #[error("the session was revoked")]
    Revoked,
    /// `SESSION_NOT_FOUND`
    #[error("the server has no such session")]
    NotFound,
    /// `SESSION_STATE_LOST`
    #[error("the server has lost the state of the session")]
    StateLost,
    /// `SESSION_ABSOLUTE_LIFETIME_EXCEEDED`
    #[error("the session's absolute lifetime has passed")]
    LifetimeExceeded,
    /// `RENEWAL_LIMIT_REACHED`, and the last token has expired.
    #[error("the session has reached its maximum number of renewals, and its last token has expired")]
    LimitReached,
    /// `TOKEN_EXPIRED`: no renewal succeeded in time.
    #[error("the session's token expired before a renewal succeeded")]
    Expired,
    /// `SESSION_RENEWAL_MISMATCH`: another process has renewed the session, and its token is not in this process's storage.
    #[error("the session was renewed elsewhere, and the new token is not in this storage")]
    Superseded,
}

impl SessionOver {
    /// The end of the session that a rejected renewal reports. `None` if the session has not ended.
    pub(super) const fn from_kind(kind: ErrorKind) -> Option<Self> {
        match kind {
            ErrorKind::TokenExpired => Some(Self::Expired),
            ErrorKind::SessionRevoked => Some(Self::Revoked),
            ErrorKind::SessionNotFound => Some(Self::NotFound),
            ErrorKind::SessionStateLost => Some(Self::StateLost),
            ErrorKind::SessionAbsoluteLifetimeExceeded => Some(Self::LifetimeExceeded),
            _ => None,
        }
    }
}

/// The reason why [`ClientSessionBuilder::open`](super::ClientSessionBuilder::open) failed.
///
/// No variant contains the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The storage has no session, or it cannot be read.
    #[error("the session cannot be loaded: {0}")]
    Load(BoxError),
    /// The session can be read, but a renewed one could not be saved.
    #[error("the session cannot be saved: {0}")]
    Save(BoxError),
    /// The stored token has characters that no HTTP header can carry.
    #[error("the stored token has characters that no HTTP header can carry")]
    Token,
    /// The name of the [header](super::ClientSessionBuilder::header) for the token is not valid.
    #[error("the header for the token: {0}")]
    Header(http::Error),
    /// The server's base URI has no scheme or host, or it has a query.
    #[error("{uri}: not a base URI such as https://sessions.example")]
    ServerUri {
        /// The URI, without credentials.
        uri: String,
    },
    /// The server redirects, so the session could not be renewed. The token was not sent to the target.
    #[error(
        "{url} answers {status} and redirects to {location}: set the session server's URI to the final address"
    )]
    Redirect {
        /// The URL that was requested.
        url: String,
        /// The status of the response.
        status: StatusCode,
        /// The target of the redirect; `(no Location)` if the response has none.
        location: String,
    },
    /// An HTTP server answers at this URI, but it is not a session server with this session.
    #[error("{url} answers {status} with {answer}: it is not the session server of this session")]
    NotASessionServer {
        /// The URL that was requested.
        url: String,
        /// The status of the response.
        status: StatusCode,
        /// A short description of the response's body.
        answer: String,
    },
}
