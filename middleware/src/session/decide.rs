//! The safety checks, each of them once: pure functions of (record, token, now).

use super::SessionRecord;
use crate::{
    clock::Timestamp,
    error::ErrorKind,
    token::{Claims, ProvenToken},
};

/// Whether a proven token may use the API now.
///
/// # Errors
/// `SessionRevoked`, `InvalidToken`, `TokenExpired`, `TokenSuperseded`.
///
/// In this order: revoked → the session's own agent → expiry → current token.
pub fn admit(record: &SessionRecord, token: &ProvenToken, now: Timestamp) -> Result<(), ErrorKind> {
    standing(record, token)?;
    token.unexpired(now)?;
    if record.token_hash != *token.hash() {
        return Err(ErrorKind::TokenSuperseded);
    }
    if now >= record.expires_at {
        return Err(ErrorKind::TokenExpired);
    }
    Ok(())
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

/// A granted renewal: what the new token and the record will say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renewal {
    /// The new token's generation.
    pub generation: u32,
    /// The session's renewal count.
    pub renewal_count: u32,
    /// When the new token is issued: now.
    pub issued_at: Timestamp,
    /// When the new token expires.
    pub expires_at: Timestamp,
}

/// Why a renewal is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
#[non_exhaustive]
pub struct RenewalRefusal {
    /// What the answer says.
    pub kind: ErrorKind,
    /// Seconds until the renewal would be granted, for `RenewalTooEarly`.
    pub retry_after: Option<u64>,
}

impl From<ErrorKind> for RenewalRefusal {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            retry_after: None,
        }
    }
}

/// Whether a proven token may renew its session now.
///
/// In this order: revoked → current token → expiry → renewal limit → absolute lifetime → half of the token's ttl. The
/// new token expires at now + ttl, and never after the session's absolute lifetime.
///
/// A token never outlives the session's absolute lifetime. Once that is over, the token's own expiry is not asked, so that
/// the answer names the lifetime: it tells the agent that only an administrator can help.
///
/// # Errors
/// `SessionRevoked`, `InvalidToken`, `SessionRenewalMismatch`, `TokenExpired`, `RenewalLimitReached`,
/// `SessionAbsoluteLifetimeExceeded`, `RenewalTooEarly`.
pub fn renew(record: &SessionRecord, token: &ProvenToken, now: Timestamp) -> Result<Renewal, RenewalRefusal> {
    standing(record, token)?;
    if record.token_hash != *token.hash() {
        return Err(ErrorKind::SessionRenewalMismatch.into());
    }
    if now < record.absolute_expires_at {
        token.unexpired(now)?;
    }
    if record.renewal_count >= record.max_renewals {
        return Err(ErrorKind::RenewalLimitReached.into());
    }
    if now >= record.absolute_expires_at {
        return Err(ErrorKind::SessionAbsoluteLifetimeExceeded.into());
    }

    let renewable_from = renewable_from(token.claims());
    if now < renewable_from {
        return Err(RenewalRefusal {
            kind: ErrorKind::RenewalTooEarly,
            retry_after: Some(renewable_from.since(now)),
        });
    }

    Ok(Renewal {
        generation: record.generation.saturating_add(1),
        renewal_count: record.renewal_count.saturating_add(1),
        issued_at: now,
        expires_at: now.plus(record.ttl).min(record.absolute_expires_at),
    })
}

/// From when on a token can be renewed: when half of its lifetime has passed, rounded up to a whole second.
#[must_use]
pub const fn renewable_from(claims: &Claims) -> Timestamp {
    let lifetime = claims.expires_at.since(claims.issued_at);
    claims.issued_at.plus(lifetime.div_ceil(2))
}

#[cfg(test)]
mod tests;
