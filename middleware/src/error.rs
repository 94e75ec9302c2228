//! The error type of the crate: one opaque error with a [`kind`](AuthError::kind).

mod diagnosis;
mod reason;

pub(crate) use self::diagnosis::Diagnosis;
pub use self::reason::RejectionReason;

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

use http::StatusCode;
use serde::Serialize;

use crate::id::{AgentId, SessionId};

/// The target of the log events of [`AuthError::log`].
const TARGET: &str = "tower_session_auth::rejection";

/// The error of a rejected request. The layers put it into the extensions of the response, for outer layers to log.
///
/// The client receives its [kind](Self::kind) and its [detail](Self::detail). The log also receives the precise
/// [reason](Self::reason), the [key id](Self::key_id), the [session](Self::session_id) and its [agent](Self::agent_id).
#[derive(Debug, Clone)]
pub struct AuthError {
    kind: ErrorKind,
    challenge: Challenge,
    detail: Cow<'static, str>,
    retry_after: Option<u64>,
    issues: Vec<ValidationIssue>,
    /// Boxed, since most results carry no error.
    diagnosis: Option<Box<Diagnosis>>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
    /// True if the cause is a defect, which an operator must examine.
    defect: bool,
}

/// One mistake in the input of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidationIssue {
    /// The place: a field's path in the body, or the name of a path or query parameter. Empty for the whole body.
    pub path: String,
    /// The mistake, for people.
    pub message: String,
}

/// The `WWW-Authenticate` challenge of a response (RFC 9110, section 11.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    None,
    /// No bearer token was sent: the challenge has no error code (RFC 6750, section 3.1).
    BearerMissing,
    BearerInvalid,
    /// The session lacks a required scope.
    InsufficientScope,
    MasterPassword,
    /// The schemes that a layer for administrators accepts.
    #[cfg(feature = "master-auth")]
    Administrator(AdminSchemes),
}

/// The credentials that a layer for administrators accepts, and the one that was sent.
#[cfg(feature = "master-auth")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdminSchemes {
    pub(crate) master_password: bool,
    pub(crate) bearer: bool,
    pub(crate) basic: bool,
    /// True if an admin key was sent: the bearer challenge then has an error code.
    pub(crate) key_was_sent: bool,
}

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

            /// The status of a response with this kind. If a token was checked, [`AuthError::status`] is 401 for
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

            const fn default_detail(self) -> &'static str {
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

impl AuthError {
    /// An error of this kind with its default text.
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
                ErrorKind::InsufficientScope => Challenge::InsufficientScope,
                _ => Challenge::None,
            },
            detail: Cow::Borrowed(kind.default_detail()),
            retry_after: match kind {
                ErrorKind::StoreUnavailable | ErrorKind::Overloaded => Some(1),
                _ => None,
            },
            issues: Vec::new(),
            diagnosis: None,
            cause: None,
            defect: false,
        }
    }

    /// An error about the bearer token of a request: `SessionNotFound` becomes a 401 with a challenge.
    #[must_use]
    pub const fn for_token(kind: ErrorKind) -> Self {
        let mut error = Self::new(kind);
        if let ErrorKind::SessionNotFound = kind {
            error.challenge = Challenge::BearerInvalid;
        }
        error
    }

    /// No bearer token was sent.
    #[must_use]
    pub fn missing_token() -> Self {
        let mut error = Self::new(ErrorKind::InvalidToken);
        error.challenge = Challenge::BearerMissing;
        error
            .with_reason(RejectionReason::MissingToken)
            .with_detail("This request needs a session token: Authorization: Bearer …")
    }

    /// `InsufficientScope`, with the required scopes: the challenge names them (RFC 6750, section 3).
    ///
    /// The text must have the form of RFC 6749, section 3.3. Other characters are removed.
    #[must_use]
    pub fn insufficient_scope(required: &str) -> Self {
        let mut error = Self::new(ErrorKind::InsufficientScope);
        error.diagnosis_mut().required_scope = Some(required.into());
        error
    }

    /// `ValidationFailed` with all issues.
    #[must_use]
    pub fn validation(issues: Vec<ValidationIssue>) -> Self {
        let mut error = Self::new(ErrorKind::ValidationFailed);
        error.issues = issues;
        error
    }

    /// `ValidationFailed` with one issue.
    #[must_use]
    pub fn invalid_field(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::validation(vec![ValidationIssue::new(path, message)])
    }

    /// Replaces the text for people. It must not contain a secret.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds the cause, for the log. It is never sent to a client.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// Adds a cause that is a defect: it is logged as an error.
    #[must_use]
    pub(crate) fn with_internal_cause(self, cause: impl Error + Send + Sync + 'static) -> Self {
        let mut error = self.with_cause(cause);
        error.defect = true;
        error
    }

    /// Sets the precise reason, for the log. It is never sent to a client.
    #[must_use]
    pub fn with_reason(mut self, reason: RejectionReason) -> Self {
        self.diagnosis_mut().reason = reason;
        self
    }

    /// Adds the session of the request and its agent, for the log. Call it only if a signature or the store has confirmed them.
    #[must_use]
    pub fn with_session(mut self, session: SessionId, agent: AgentId) -> Self {
        self.diagnosis_mut().session = Some((session, agent));
        self
    }

    /// Adds the id of the key that the footer of a token names, for the log. A text in another form is left out.
    #[must_use]
    pub fn with_key_id(mut self, key_id: &str) -> Self {
        self.diagnosis_mut().set_key_id(key_id);
        self
    }

    pub(crate) fn with_diagnosis(mut self, diagnosis: Box<Diagnosis>) -> Self {
        self.diagnosis = Some(diagnosis);
        self
    }

    fn diagnosis_mut(&mut self) -> &mut Diagnosis {
        let reason = RejectionReason::of_kind(self.kind);
        self.diagnosis
            .get_or_insert_with(|| Box::new(Diagnosis::new(reason)))
    }

    /// Adds `Retry-After`, in seconds.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The kind of this error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.challenge {
            Challenge::None | Challenge::InsufficientScope => self.kind.status(),
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The text for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The seconds after which a retry can succeed, if known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The required scopes, for `InsufficientScope`.
    #[must_use]
    pub fn required_scope(&self) -> Option<&str> {
        self.diagnosis.as_ref()?.required_scope.as_deref()
    }

    /// The mistakes in the input, for `ValidationFailed`.
    #[must_use]
    pub fn issues(&self) -> &[ValidationIssue] {
        &self.issues
    }

    /// The precise reason, for the log and for metrics.
    #[must_use]
    pub fn reason(&self) -> RejectionReason {
        match &self.diagnosis {
            Some(diagnosis) => diagnosis.reason,
            None => RejectionReason::of_kind(self.kind),
        }
    }

    /// The id of the key that the footer of the token names (PASERK `k4.pid`). The key need not exist. `None` if the footer names none.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.diagnosis.as_ref()?.key_id.as_deref()
    }

    /// The session of the request. `None` unless the signature of its token was valid.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        Some(self.diagnosis.as_ref()?.session?.0)
    }

    /// The agent of the session. `None` unless the signature of the token was valid.
    #[must_use]
    pub fn agent_id(&self) -> Option<AgentId> {
        Some(self.diagnosis.as_ref()?.session?.1)
    }

    /// Sets the schemes of the challenge.
    #[cfg(feature = "master-auth")]
    pub(crate) const fn with_admin_schemes(mut self, schemes: AdminSchemes) -> Self {
        self.challenge = Challenge::Administrator(schemes);
        self
    }

    pub(crate) const fn challenge(&self) -> Challenge {
        self.challenge
    }

    /// True if the request had no token.
    pub(crate) fn is_missing_token(&self) -> bool {
        self.challenge == Challenge::BearerMissing
    }

    /// Logs the rejection: one event with the target `tower_session_auth::rejection` and the message `request rejected`.
    ///
    /// Its fields are `code`, `reason`, `kid`, `session`, `agent` and `cause`. The level is `ERROR` if the cause is a defect, `WARN`
    /// for any other cause, such as a store that does not answer, and `DEBUG` for a mistake of the client.
    ///
    /// Layers, endpoints and extractors call it once, where they answer the request. Call it where you answer an error of
    /// [`SessionManager`](crate::SessionManager) yourself. A server with a log line for each response can turn the target off and
    /// take the fields from the error in the extensions of the response.
    pub fn log(&self) {
        macro_rules! event {
            ($level:ident) => {
                tracing::event!(
                    target: TARGET,
                    tracing::Level::$level,
                    code = self.kind.code(),
                    reason = self.reason().as_str(),
                    kid = self.key_id(),
                    session = self.session_id().map(tracing::field::display),
                    agent = self.agent_id().map(tracing::field::display),
                    cause = self.cause.as_ref().map(tracing::field::display),
                    "request rejected"
                )
            };
        }
        match &self.cause {
            Some(_) if self.defect => event!(ERROR),
            Some(_) => event!(WARN),
            None => event!(DEBUG),
        }
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

/// A request needs the extension of a layer that is not around its service.
#[derive(Debug, thiserror::Error)]
#[error("no {0} is around this route")]
pub(crate) struct MissingLayer(pub(crate) &'static str);

impl From<MissingLayer> for AuthError {
    fn from(missing: MissingLayer) -> Self {
        Self::new(ErrorKind::InternalError).with_internal_cause(missing)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.default_detail())
    }
}

impl Error for ErrorKind {}

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

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
