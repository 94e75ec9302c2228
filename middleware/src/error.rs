//! What can go wrong, as one opaque error with a [`kind`](AuthError::kind).

use std::{borrow::Cow, fmt};

use http::StatusCode;
use serde::Serialize;

use crate::store::StoreError;

/// Why a request was refused. The layers put it into the response's extensions, so that outer layers can log it.
#[derive(Debug, Clone)]
pub struct AuthError {
    kind: ErrorKind,
    challenge: Challenge,
    detail: Cow<'static, str>,
    retry_after: Option<u64>,
    issues: Vec<ValidationIssue>,
}

/// One thing that is wrong with a request's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidationIssue {
    /// Where: a field's path in the body, or the name of a path or query parameter. Empty for the whole body.
    pub path: String,
    /// What is wrong, for a person.
    pub message: String,
}

/// Which `WWW-Authenticate` challenge an answer carries (RFC 9110, section 11.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    None,
    /// No bearer token was sent: a challenge without an error code (RFC 6750, section 3.1).
    BearerMissing,
    BearerInvalid,
    MasterPassword,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $retryable:literal, $detail:literal;)*) => {
        /// The kinds of errors, one for each code of the wire contract.
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
            /// Every kind, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code on the wire, for programs.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The usual status. [`AuthError::status`] says 401 for `SessionNotFound` where a token was the question.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Whether the same request may succeed later.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }

            const fn default_detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

kinds! {
    /// No usable bearer token: missing, malformed, unknown key, bad signature, wrong issuer or audience.
    InvalidToken = UNAUTHORIZED, "INVALID_TOKEN", false, "The session token is missing or not valid.";
    /// The token's expiry has passed.
    TokenExpired = UNAUTHORIZED, "TOKEN_EXPIRED", false, "The session token has expired.";
    /// The session was revoked.
    SessionRevoked = UNAUTHORIZED, "SESSION_REVOKED", false, "The session was revoked.";
    /// A token of the session that is no longer its current one.
    TokenSuperseded = UNAUTHORIZED, "TOKEN_SUPERSEDED", false, "The session was renewed; this is no longer its current token.";
    /// A token of a later generation than the store knows of: the store has lost writes.
    SessionStateLost = UNAUTHORIZED, "SESSION_STATE_LOST", false, "The session store has lost the state of this session; it has to be opened anew.";
    /// No such session.
    SessionNotFound = NOT_FOUND, "SESSION_NOT_FOUND", false, "There is no such session.";
    /// The master password is missing or wrong.
    InvalidMasterPassword = UNAUTHORIZED, "INVALID_MASTER_PASSWORD", false, "The master password is missing or wrong.";
    /// Too many wrong master passwords from this address.
    MasterPasswordLocked = TOO_MANY_REQUESTS, "MASTER_PASSWORD_LOCKED", true, "Too many wrong master passwords from this address.";
    /// No such agent.
    AgentNotFound = NOT_FOUND, "AGENT_NOT_FOUND", false, "There is no such agent.";
    /// The agent has its maximum of active sessions.
    SessionLimitExceeded = FORBIDDEN, "SESSION_LIMIT_EXCEEDED", false, "The agent has its maximum of active sessions.";
    /// A renewal with a token that is not the current one.
    SessionRenewalMismatch = FORBIDDEN, "SESSION_RENEWAL_MISMATCH", false, "This is not the session's current token.";
    /// The session was renewed as often as it may be.
    RenewalLimitReached = FORBIDDEN, "RENEWAL_LIMIT_REACHED", false, "The session was renewed as often as it may be.";
    /// The session's absolute lifetime has passed.
    SessionAbsoluteLifetimeExceeded = FORBIDDEN, "SESSION_ABSOLUTE_LIFETIME_EXCEEDED", false, "The session's absolute lifetime has passed.";
    /// Less than half of the token's ttl has passed.
    RenewalTooEarly = FORBIDDEN, "RENEWAL_TOO_EARLY", true, "Less than half of the token's lifetime has passed.";
    /// The request's input is not valid.
    ValidationFailed = BAD_REQUEST, "VALIDATION_FAILED", false, "The request is not valid.";
    /// The session store does not answer, or cannot do its work.
    StoreUnavailable = SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", true, "The session store is not available.";
    /// No such resource.
    NotFound = NOT_FOUND, "NOT_FOUND", false, "There is nothing at this path.";
    /// The resource has no such method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", false, "This path does not take this method.";
    /// The body is larger than the server takes.
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", false, "The request body is too large.";
    /// The body is not JSON.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", false, "The request body must be application/json.";
    /// The request took longer than the server allows.
    RequestTimeout = REQUEST_TIMEOUT, "REQUEST_TIMEOUT", true, "The request took too long.";
    /// The server has more work than it takes on.
    Overloaded = SERVICE_UNAVAILABLE, "OVERLOADED", true, "The server is overloaded.";
    /// A defect of the server.
    InternalError = INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", false, "The server made an error.";
}

impl AuthError {
    /// An error of this kind with its usual text.
    #[must_use]
    pub const fn new(kind: ErrorKind) -> Self {
        Self {
            kind,
            challenge: match kind {
                ErrorKind::InvalidMasterPassword => Challenge::MasterPassword,
                ErrorKind::InvalidToken
                | ErrorKind::TokenExpired
                | ErrorKind::SessionRevoked
                | ErrorKind::TokenSuperseded
                | ErrorKind::SessionStateLost => Challenge::BearerInvalid,
                _ => Challenge::None,
            },
            detail: Cow::Borrowed(kind.default_detail()),
            retry_after: match kind {
                ErrorKind::StoreUnavailable | ErrorKind::Overloaded => Some(1),
                _ => None,
            },
            issues: Vec::new(),
        }
    }

    /// An error about the bearer token that was sent: here `SessionNotFound` is a 401 too, with a challenge.
    #[must_use]
    pub const fn token(kind: ErrorKind) -> Self {
        let mut error = Self::new(kind);
        if let ErrorKind::SessionNotFound = kind {
            error.challenge = Challenge::BearerInvalid;
        }
        error
    }

    /// No bearer token was sent.
    #[must_use]
    pub fn token_missing() -> Self {
        let mut error = Self::new(ErrorKind::InvalidToken);
        error.challenge = Challenge::BearerMissing;
        error.with_detail("This request needs a session token: Authorization: Bearer …")
    }

    /// `ValidationFailed` with what is wrong, and where.
    #[must_use]
    pub fn validation(issues: Vec<ValidationIssue>) -> Self {
        let mut error = Self::new(ErrorKind::ValidationFailed);
        error.issues = issues;
        error
    }

    /// `ValidationFailed` with a single issue.
    #[must_use]
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::validation(vec![ValidationIssue::new(path, message)])
    }

    /// Replaces the text for people. It must not say anything secret.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds `Retry-After`, in seconds.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// What kind of error this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.challenge {
            Challenge::None => self.kind.status(),
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// What happened, for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// After how many seconds a retry makes sense, when that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// What is wrong with the input, for `ValidationFailed`.
    #[must_use]
    pub fn issues(&self) -> &[ValidationIssue] {
        &self.issues
    }

    pub(crate) const fn challenge(&self) -> Challenge {
        self.challenge
    }
}

impl ValidationIssue {
    /// An issue at a path.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.default_detail())
    }
}

impl std::error::Error for ErrorKind {}

impl From<StoreError> for AuthError {
    /// The cause goes into the log, here where it is left behind, and not to the client.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unexpected(_) => tracing::error!(%error, "session store"),
            StoreError::Timeout | StoreError::Unavailable(_) => tracing::warn!(%error, "session store"),
        }
        ErrorKind::StoreUnavailable.into()
    }
}

impl From<ErrorKind> for AuthError {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.detail)
    }
}

impl std::error::Error for AuthError {}
