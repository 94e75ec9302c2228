//! The safety checks, each of them once: pure functions of (record, token, now).

mod access;
mod renewal;
mod schedule;
#[cfg(test)]
mod tests;

pub use access::{Admission, admit};
pub use renewal::{Grant, Renewal, renew, rotate};
pub use schedule::{renew_after, renewable_from};

use super::{RotationPolicy, SessionRecord};
use crate::{
    clock::Timestamp,
    error::{AuthError, ErrorKind},
    token::ProvenToken,
};

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
#[non_exhaustive]
pub struct Refusal {
    /// What the answer says.
    pub kind: ErrorKind,
    /// Seconds until a renewal would be granted, for `RenewalTooEarly`.
    pub retry_after: Option<u64>,
    /// What the token gives away beyond that.
    pub suspicion: Option<Suspicion>,
}

/// What a token that is not the current one gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Suspicion {
    /// The session was renewed with it, and that long ago: somebody has a copy.
    Reuse,
    /// It is of a later generation than the store knows of: the store has lost writes.
    StateLost,
}

impl From<ErrorKind> for Refusal {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            retry_after: None,
            suspicion: None,
        }
    }
}

impl From<Refusal> for AuthError {
    fn from(refusal: Refusal) -> Self {
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
pub fn standing(record: &SessionRecord, token: &ProvenToken) -> Result<(), ErrorKind> {
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
fn not_current(
    record: &SessionRecord,
    token: &ProvenToken,
    rotation: &RotationPolicy,
    now: Timestamp,
    kind: ErrorKind,
) -> Refusal {
    let generation = token.claims().generation;
    if generation > record.generation {
        return Refusal {
            suspicion: Some(Suspicion::StateLost),
            ..ErrorKind::SessionStateLost.into()
        };
    }
    let last = generation.saturating_add(1) == record.generation;
    let in_grace = last && now.since(record.term_began_at()) < rotation.grace();
    let by_renewal = record
        .rotated_generation
        .is_none_or(|rotated| generation >= rotated);
    let reused = generation < record.generation && by_renewal && !in_grace && token.unexpired(now).is_ok();
    Refusal {
        suspicion: reused.then_some(Suspicion::Reuse),
        ..kind.into()
    }
}
