//! The error type of the crate: one opaque error with a [`kind`](AuthError::kind).

mod diagnosis;
mod kind;
mod log;
mod reason;

pub(crate) use self::diagnosis::Diagnosis;
pub use self::{kind::ErrorKind, reason::RejectionReason};

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

use http::StatusCode;
use serde::Serialize;

use crate::id::{AgentId, SessionId};

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
