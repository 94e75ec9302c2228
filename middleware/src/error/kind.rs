//! The kinds of errors, one for each code of the HTTP API.

use std::{error::Error, fmt};

use http::StatusCode;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $retryable:literal, $detail:literal;)*) => {
        /// The kinds of errors, one for each code of the HTTP API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("`", $code, "` · ", stringify!($status), " · retryable: ", $retryable)]
                $name,
            )*
        }

        impl ErrorKind {
            /// All kinds, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kind with this code. `None` if there is no such code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.code() == code)
            }

            /// The code in a problem document, for programs.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The status of a response with this kind. If a token was checked, [`AuthError::status`](super::AuthError::status) is 401 for
            /// `SessionNotFound`.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// True if the same request can succeed later.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }

            pub(super) const fn default_detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

kinds! {
    /// No usable bearer token: missing, malformed, unknown key, bad signature, wrong issuer or audience.
    InvalidToken = UNAUTHORIZED, "INVALID_TOKEN", false, "The session token is not valid.";
    /// The token's expiry has passed.
    TokenExpired = UNAUTHORIZED, "TOKEN_EXPIRED", false, "The session token has expired.";
    /// The session was revoked.
    SessionRevoked = UNAUTHORIZED, "SESSION_REVOKED", false, "The session was revoked.";
    /// A valid token of the session that was replaced by a later one.
    TokenSuperseded = UNAUTHORIZED, "TOKEN_SUPERSEDED", false, "The session was renewed. This token is no longer the current one.";
    /// The token has a later generation than the record: the store has lost writes.
    SessionStateLost = UNAUTHORIZED, "SESSION_STATE_LOST", false, "The session store has lost the state of this session. An administrator must create another one.";
    /// No such session.
    SessionNotFound = NOT_FOUND, "SESSION_NOT_FOUND", false, "There is no such session.";
    /// The administrator's credential is missing or wrong: the master password or an admin key.
    InvalidMasterPassword = UNAUTHORIZED, "INVALID_MASTER_PASSWORD", false, "The administrator's credential is missing or wrong.";
    /// Too many wrong master passwords from this address.
    MasterPasswordLocked = TOO_MANY_REQUESTS, "MASTER_PASSWORD_LOCKED", true, "Too many wrong master passwords from this address.";
    /// An admin key without the right that the request needs, or for an agent that the key does not permit.
    Forbidden = FORBIDDEN, "FORBIDDEN", false, "The administrator does not have the right to do this.";
    /// The session lacks a required scope.
    InsufficientScope = FORBIDDEN, "INSUFFICIENT_SCOPE", false, "The session lacks a required scope.";
    /// No such agent.
    AgentNotFound = NOT_FOUND, "AGENT_NOT_FOUND", false, "There is no such agent.";
    /// The agent has its maximum of active sessions.
    SessionLimitExceeded = FORBIDDEN, "SESSION_LIMIT_EXCEEDED", false, "The agent has its maximum of active sessions.";
    /// A renewal with a token that is not the current one.
    SessionRenewalMismatch = FORBIDDEN, "SESSION_RENEWAL_MISMATCH", false, "This is not the session's current token.";
    /// The session has reached its maximum of renewals.
    RenewalLimitReached = FORBIDDEN, "RENEWAL_LIMIT_REACHED", false, "The session has reached its maximum of renewals.";
    /// The session's absolute lifetime has passed.
    SessionAbsoluteLifetimeExceeded = FORBIDDEN, "SESSION_ABSOLUTE_LIFETIME_EXCEEDED", false, "The session's absolute lifetime has passed.";
    /// Less than half of the token's lifetime has passed.
    RenewalTooEarly = FORBIDDEN, "RENEWAL_TOO_EARLY", true, "Less than half of the token's lifetime has passed.";
    /// The request's input is not valid.
    ValidationFailed = BAD_REQUEST, "VALIDATION_FAILED", false, "The request is not valid.";
    /// The session store does not answer, or cannot serve the call.
    StoreUnavailable = SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", true, "The session store is not available.";
    /// No such resource.
    NotFound = NOT_FOUND, "NOT_FOUND", false, "No resource has this path.";
    /// The resource has no such method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", false, "The resource does not support this method.";
    /// The body exceeds the limit of the server.
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", false, "The request body is too large.";
    /// The body is not JSON.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", false, "The request body must be application/json.";
    /// The request exceeded its time limit.
    RequestTimeout = REQUEST_TIMEOUT, "REQUEST_TIMEOUT", true, "The request took too long.";
    /// The server has reached its capacity.
    Overloaded = SERVICE_UNAVAILABLE, "OVERLOADED", true, "The server is overloaded.";
    /// A bug of the server.
    InternalError = INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", false, "The server failed because of an internal error.";
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.default_detail())
    }
}

impl Error for ErrorKind {}
