use crate::error::ErrorKind;

/// Why a session cannot be used any more. Only an administrator can help: by opening another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SessionOver {
    /// `SESSION_REVOKED`
    #[error("the session was revoked")]
    Revoked,
    /// `SESSION_NOT_FOUND`
    #[error("the server knows no such session")]
    NotFound,
    /// `SESSION_STATE_LOST`
    #[error("the server has lost the state of the session")]
    StateLost,
    /// `SESSION_ABSOLUTE_LIFETIME_EXCEEDED`
    #[error("the session's absolute lifetime has passed")]
    LifetimeExceeded,
    /// `RENEWAL_LIMIT_REACHED`, and the last token has expired.
    #[error("the session was renewed as often as it may be, and its last token has expired")]
    LimitReached,
    /// `TOKEN_EXPIRED`: no renewal got through in time.
    #[error("the session's token expired before a renewal got through")]
    Expired,
    /// `SESSION_RENEWAL_MISMATCH`: somebody else has renewed the session, and saved no token here.
    #[error("the session goes on with a token that was not saved here")]
    Superseded,
}

impl SessionOver {
    /// What a refused renewal says about the session, if it is final.
    pub(super) const fn by(kind: ErrorKind) -> Option<Self> {
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
