//! The safety checks, each of them once: pure functions of (record, token, now).
//!
//! [`SessionAuthLayer`](crate::SessionAuthLayer) calls [`admit`], [`RenewalLayer`](crate::session_auth::RenewalLayer) calls
//! [`check_session`], and [`SessionManager`](crate::SessionManager) calls [`renew`] and [`rotate`]. They are public for your
//! own layers and managers.

mod access;
mod creation;
mod renewal;
mod schedule;
#[cfg(test)]
mod tests;

pub use access::{MatchedToken, admit};
pub use creation::repeat_creation;
pub use renewal::{NextToken, RenewalDecision, renew, rotate};
pub use schedule::{renew_after, renewable_from};

use super::SessionRecord;
use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind, RejectionReason},
    token::VerifiedToken,
};

/// The rejection of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
#[non_exhaustive]
pub struct Rejection {
    /// The kind of error that the client receives.
    pub kind: ErrorKind,
    /// The precise reason, for the log.
    pub reason: RejectionReason,
    /// Seconds until a renewal is possible, for `RenewalTooEarly`.
    pub retry_after: Option<u64>,
    /// The security event that the token reveals. [`SecurityEvents::handle`](crate::security::SecurityEvents::handle) counts it
    /// and revokes the session if its record requires it.
    pub event: Option<SecurityEvent>,
}

/// A security event that a rejected token reveals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityEvent {
    /// A token was presented that a renewal replaced long ago: the token was probably copied.
    TokenReuse,
    /// A token of a later generation than the record was presented: the store has lost writes.
    StateLost,
}

impl From<ErrorKind> for Rejection {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            reason: RejectionReason::of_kind(kind),
            retry_after: None,
            event: None,
        }
    }
}

impl Rejection {
    /// The rejection for an error of [`check_session`].
    pub(crate) fn by_session(kind: ErrorKind) -> Self {
        Self::with_reason_of_invalid_token(kind, RejectionReason::WrongAgent)
    }

    /// The rejection for an error of [`VerifiedToken::check_expiry`].
    pub(crate) fn by_expiry(kind: ErrorKind) -> Self {
        Self::with_reason_of_invalid_token(kind, RejectionReason::NotYetValid)
    }

    fn with_reason_of_invalid_token(kind: ErrorKind, reason: RejectionReason) -> Self {
        let mut rejection = Self::from(kind);
        if kind == ErrorKind::InvalidToken {
            rejection.reason = reason;
        }
        rejection
    }

    /// The error for the client. It does not handle the security event: use
    /// [`SecurityEvents::handle`](crate::security::SecurityEvents::handle) if there is one.
    #[must_use]
    pub fn to_error(self) -> AuthError {
        let error = AuthError::for_token(self.kind).with_reason(self.reason);
        match self.retry_after {
            Some(seconds) => error.with_retry_after(seconds),
            None => error,
        }
    }
}

/// Checks that the session of a token is not revoked and belongs to the token's agent.
///
/// This check alone does not admit a request. It does not check the token's expiry, or that the token is the current one.
///
/// # Errors
/// `SessionRevoked`, `InvalidToken` (the token names another agent).
pub fn check_session(record: &SessionRecord, token: &VerifiedToken) -> Result<(), ErrorKind> {
    if record.revoked_at.is_some() {
        return Err(ErrorKind::SessionRevoked);
    }
    if record.agent_id != token.claims().agent_id {
        return Err(ErrorKind::InvalidToken);
    }
    Ok(())
}

/// Rejects a token that is not the current one: with `kind`, or with `SessionStateLost` if its generation is ahead of the record.
///
/// These replaced tokens are no security event:
///
/// - an expired token;
/// - the previous token within its retry window or overlap: its request lost a race, or its response was lost;
/// - a token from before a rotation: its holder does not receive the new one.
fn reject_replaced(
    record: &SessionRecord,
    token: &VerifiedToken,
    now: Timestamp,
    kind: ErrorKind,
) -> Rejection {
    let generation = token.claims().generation;
    if generation > record.generation {
        return Rejection {
            event: Some(SecurityEvent::StateLost),
            ..ErrorKind::SessionStateLost.into()
        };
    }
    let is_last = generation.saturating_add(1) == record.generation;
    let in_retry_window_or_overlap = is_last
        && record
            .last_renewal
            .as_ref()
            .is_some_and(|renewal| now < renewal.suspicious_from());
    let by_renewal = record
        .rotated_generation
        .is_none_or(|rotated| generation >= rotated);
    let reused = generation < record.generation
        && by_renewal
        && !in_retry_window_or_overlap
        && token.check_expiry(now).is_ok();
    Rejection {
        event: reused.then_some(SecurityEvent::TokenReuse),
        ..kind.into()
    }
}
