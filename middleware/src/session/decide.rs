//! The safety checks, each of them once: pure functions of (record, token, now).

mod access;
mod renewal;
mod schedule;
#[cfg(test)]
mod tests;

pub use access::{MatchedToken, admit};
pub use renewal::{NextToken, Renewal, renew, rotate};
pub use schedule::{renew_after, renewable_from};

use super::{ReplacedTokenPolicy, SessionRecord};
use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind},
    token::VerifiedToken,
};

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
#[non_exhaustive]
pub struct Rejection {
    /// What the answer says.
    pub kind: ErrorKind,
    /// Seconds until a renewal would be granted, for `RenewalTooEarly`.
    pub retry_after: Option<u64>,
    /// What the token gives away beyond that.
    pub suspicion: Option<SecurityEvent>,
}

/// What a token that is not the current one gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityEvent {
    /// The session was renewed with it, and that long ago: somebody has a copy.
    Reuse,
    /// It is of a later generation than the store knows of: the store has lost writes.
    StateLost,
}

impl From<ErrorKind> for Rejection {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            retry_after: None,
            suspicion: None,
        }
    }
}

impl From<Rejection> for AuthError {
    fn from(refusal: Rejection) -> Self {
        let error = Self::token(refusal.kind);
        match refusal.retry_after {
            Some(seconds) => error.with_retry_after(seconds),
            None => error,
        }
    }
}

/// Whether the session of a proven token still stands: all that is asked before a renewal is decided. It is no leave to use
/// the API, since it asks neither for the token's expiry nor whether it is the current one.
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

/// Refuses a token that is not the current one: as `kind`, or as `SessionStateLost` when its generation is ahead.
///
/// Of the tokens before, these raise no suspicion: an expired one, which does no harm any more; the last one within its
/// grace, when it lost a race or its answer; and those from before a rotation by an administrator, which tells nobody.
fn reject_stale_token(
    record: &SessionRecord,
    token: &VerifiedToken,
    rotation: &ReplacedTokenPolicy,
    now: Timestamp,
    kind: ErrorKind,
) -> Rejection {
    let generation = token.claims().generation;
    if generation > record.generation {
        return Rejection {
            suspicion: Some(SecurityEvent::StateLost),
            ..ErrorKind::SessionStateLost.into()
        };
    }
    let last = generation.saturating_add(1) == record.generation;
    let in_grace = last && now.since(record.ttl_started_at()) < rotation.grace();
    let by_renewal = record
        .rotated_generation
        .is_none_or(|rotated| generation >= rotated);
    let reused = generation < record.generation && by_renewal && !in_grace && token.check_expiry(now).is_ok();
    Rejection {
        suspicion: reused.then_some(SecurityEvent::Reuse),
        ..kind.into()
    }
}
