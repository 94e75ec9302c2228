use super::{Rejection, check_session, reject_stale_token, renewable_from};
use crate::{
    clock::Timestamp,
    error::ErrorKind,
    session::{IdempotencyKey, ReplacedTokenPolicy, RetryHash, SessionRecord},
    token::{Claims, VerifiedToken},
};

/// How a renewal is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// With a new token, once it has replaced the current one.
    NextToken(NextToken),
    /// With the current token once more, since the answer that brought it was lost: it is the one that says these claims.
    Repeat(Claims),
}

/// A new token for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextToken {
    /// What the token will say.
    pub claims: Claims,
    /// The session's renewal count from then on.
    pub renewal_count: u32,
}

/// Whether a proven token may renew its session now.
///
/// In this order: revoked → current token, or the one before it in a repetition inside the retry window → expiry → renewal
/// limit → absolute lifetime → half of the ttl. The new token expires at now + ttl, and never after the session's absolute
/// lifetime. Of a repetition, the limit and the half are not asked: they were, the first time.
///
/// A token never outlives the session's absolute lifetime. Once that is over, the token's own expiry is not asked, so that
/// the answer names the lifetime: it tells the agent that only an administrator can help.
///
/// # Errors
/// `SessionRevoked`, `InvalidToken`, `SessionRenewalMismatch`, `SessionStateLost`, `TokenExpired`, `RenewalLimitReached`,
/// `SessionAbsoluteLifetimeExceeded`, `RenewalTooEarly`.
pub fn renew(
    record: &SessionRecord,
    token: &VerifiedToken,
    key: Option<&IdempotencyKey>,
    rotation: &ReplacedTokenPolicy,
    now: Timestamp,
) -> Result<Renewal, Rejection> {
    check_session(record, token)?;
    let current = record.token_hash == *token.hash();
    if !current && !is_repetition(record, token, key, rotation, now) {
        let kind = ErrorKind::SessionRenewalMismatch;
        return Err(reject_stale_token(record, token, rotation, now, kind));
    }
    let lifetime_is_over = now >= record.absolute_expires_at;
    if !lifetime_is_over {
        token.check_expiry(now)?;
    }
    if current && record.renewal_count >= record.max_renewals {
        return Err(ErrorKind::RenewalLimitReached.into());
    }
    if lifetime_is_over {
        return Err(ErrorKind::SessionAbsoluteLifetimeExceeded.into());
    }
    if !current {
        return repetition(record, now);
    }

    let renewable_from = renewable_from(record);
    if now < renewable_from {
        return Err(Rejection {
            retry_after: Some(renewable_from.since(now)),
            ..ErrorKind::RenewalTooEarly.into()
        });
    }
    Ok(Renewal::NextToken(NextToken {
        claims: Claims {
            expires_at: now.plus(record.ttl).min(record.absolute_expires_at),
            ..next_claims(record, now)
        },
        renewal_count: record.renewal_count.saturating_add(1),
    }))
}

/// The window closes when the new token is renewed in turn, which replaces the record's hash, or an administrator rotates it.
fn is_repetition(
    record: &SessionRecord,
    token: &VerifiedToken,
    key: Option<&IdempotencyKey>,
    rotation: &ReplacedTokenPolicy,
    now: Timestamp,
) -> bool {
    let (Some(key), Some(kept)) = (key, &record.retry_hash) else {
        return false;
    };
    RetryHash::of(token.hash(), &record.token_hash, key) == *kept
        && now.since(record.ttl_started_at()) < rotation.retry_window
}

fn repetition(record: &SessionRecord, now: Timestamp) -> Result<Renewal, Rejection> {
    if now >= record.expires_at {
        return Err(ErrorKind::TokenExpired.into());
    }
    Ok(Renewal::Repeat(Claims {
        session_id: record.id,
        agent_id: record.agent_id,
        generation: record.generation,
        issued_at: record.ttl_started_at(),
        expires_at: record.expires_at,
    }))
}

/// Whether an administrator may put a new token in place of the current one. Renewal count and expiry stay.
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
    if now >= record.expires_at {
        return Err(ErrorKind::TokenExpired);
    }
    Ok(NextToken {
        claims: next_claims(record, now),
        renewal_count: record.renewal_count,
    })
}

/// The next token's claims, with the expiry left as it is.
fn next_claims(record: &SessionRecord, now: Timestamp) -> Claims {
    Claims {
        session_id: record.id,
        agent_id: record.agent_id,
        generation: record.generation.saturating_add(1),
        issued_at: now,
        expires_at: record.expires_at,
    }
}
