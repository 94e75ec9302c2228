use super::{Rejection, check_session, reject_replaced, renewable_from};
use crate::{
    clock::Timestamp,
    error::ErrorKind,
    session::{IdempotencyKey, LastRenewal, RetryHash, SessionRecord},
    token::{Claims, VerifiedToken},
};

/// The decision about a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenewalDecision {
    /// A new token is issued after it has replaced the current one in the store.
    Replace(NextToken),
    /// The current token, which has these claims, is returned again, because the first response was lost.
    Repeat(Claims),
}

/// The next token of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextToken {
    /// The claims of the token.
    pub claims: Claims,
    /// The renewal count of the session with this token.
    pub renewal_count: u32,
}

/// Decides whether a verified token may renew its session now.
///
/// The checks, in this order: revoked, current token (or the previous one in a repetition within the retry window), expiry,
/// renewal limit, absolute lifetime, half of the ttl. The new token expires one ttl after now, and never after the end of the
/// session. A repetition skips the checks of the renewal limit and of half of the ttl, because the first request passed both.
///
/// After the absolute lifetime the token's own expiry is not checked. The error is then that of the lifetime: only an
/// administrator can create another session.
///
/// # Errors
/// `SessionRevoked`, `InvalidToken`, `SessionRenewalMismatch`, `SessionStateLost`, `TokenExpired`, `RenewalLimitReached`,
/// `SessionAbsoluteLifetimeExceeded`, `RenewalTooEarly`.
pub fn renew(
    record: &SessionRecord,
    token: &VerifiedToken,
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<RenewalDecision, Rejection> {
    check_session(record, token).map_err(Rejection::by_session)?;
    let is_current = record.token_hash == *token.hash();
    let repeated = if is_current {
        None
    } else {
        let mismatch = || reject_replaced(record, token, now, ErrorKind::SessionRenewalMismatch);
        Some(repeated_renewal(record, token, key, now).ok_or_else(mismatch)?)
    };
    let lifetime_exceeded = now >= record.absolute_expires_at;
    if !lifetime_exceeded {
        token.check_expiry(now).map_err(Rejection::by_expiry)?;
    }
    if is_current && record.renewal_count() >= record.max_renewals {
        return Err(ErrorKind::RenewalLimitReached.into());
    }
    if lifetime_exceeded {
        return Err(ErrorKind::SessionAbsoluteLifetimeExceeded.into());
    }
    match repeated {
        Some(renewal) => repeat(record, renewal, now),
        None => replace(record, now),
    }
}

fn replace(record: &SessionRecord, now: Timestamp) -> Result<RenewalDecision, Rejection> {
    let renewable_from = renewable_from(record);
    if now < renewable_from {
        return Err(Rejection {
            retry_after: Some(renewable_from.since(now)),
            ..ErrorKind::RenewalTooEarly.into()
        });
    }
    let expires_at = now.plus(record.ttl).min(record.absolute_expires_at);
    Ok(RenewalDecision::Replace(NextToken {
        claims: next_claims(record, now, expires_at),
        renewal_count: record.renewal_count().saturating_add(1),
    }))
}

/// The last renewal, if this request repeats it within the retry window.
///
/// The window also ends with the next renewal, which replaces the hash in the record, and with a rotation, which removes it.
fn repeated_renewal<'a>(
    record: &'a SessionRecord,
    token: &VerifiedToken,
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Option<&'a LastRenewal> {
    let renewal = record.last_renewal.as_ref()?;
    let stored = renewal.retry_hash.as_ref()?;
    let presented = RetryHash::of(token.hash(), &record.token_hash, key?);
    (presented == *stored && now < renewal.retry_until()).then_some(renewal)
}

fn repeat(
    record: &SessionRecord,
    renewal: &LastRenewal,
    now: Timestamp,
) -> Result<RenewalDecision, Rejection> {
    if now >= record.expires_at() {
        return Err(ErrorKind::TokenExpired.into());
    }
    Ok(RenewalDecision::Repeat(Claims::new(
        record.id,
        record.agent_id,
        record.generation,
        renewal.at,
        record.expires_at(),
    )))
}

/// Decides whether an administrator may replace the current token. The renewal count and the expiry stay as they are.
///
/// # Errors
/// `SessionRevoked`, `SessionAbsoluteLifetimeExceeded`, `TokenExpired`.
pub fn rotate(record: &SessionRecord, now: Timestamp) -> Result<NextToken, ErrorKind> {
    if record.revoked_at.is_some() {
        return Err(ErrorKind::SessionRevoked);
    }
    if now >= record.absolute_expires_at {
        return Err(ErrorKind::SessionAbsoluteLifetimeExceeded);
    }
    if now >= record.expires_at() {
        return Err(ErrorKind::TokenExpired);
    }
    Ok(NextToken {
        claims: next_claims(record, now, record.expires_at()),
        renewal_count: record.renewal_count(),
    })
}

fn next_claims(record: &SessionRecord, now: Timestamp, expires_at: Timestamp) -> Claims {
    let generation = record.generation.saturating_add(1);
    Claims::new(record.id, record.agent_id, generation, now, expires_at)
}
