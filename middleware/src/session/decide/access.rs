use super::{Rejection, check_session, reject_stale_token};
use crate::{
    clock::Timestamp,
    error::ErrorKind,
    session::{ReplacedTokenPolicy, SessionRecord},
    token::VerifiedToken,
};

/// As what a token is let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchedToken {
    /// As the session's current token.
    Current,
    /// As the one before it, in its overlap.
    Previous,
}

/// Whether a proven token may use the API now.
///
/// In this order: revoked → the session's own agent → expiry → current token, or the one before it in its overlap.
///
/// # Errors
/// `SessionRevoked`, `InvalidToken`, `TokenExpired`, `SessionStateLost`, `TokenSuperseded`.
pub fn admit(
    record: &SessionRecord,
    token: &VerifiedToken,
    rotation: &ReplacedTokenPolicy,
    now: Timestamp,
) -> Result<MatchedToken, Rejection> {
    check_session(record, token)?;
    token.check_expiry(now)?;
    let admission = if record.token_hash == *token.hash() {
        MatchedToken::Current
    } else if is_overlapping(record, token, rotation, now) {
        MatchedToken::Previous
    } else {
        return Err(reject_stale_token(
            record,
            token,
            rotation,
            now,
            ErrorKind::TokenSuperseded,
        ));
    };
    if now >= record.expires_at {
        return Err(ErrorKind::TokenExpired.into());
    }
    Ok(admission)
}

fn is_overlapping(
    record: &SessionRecord,
    token: &VerifiedToken,
    rotation: &ReplacedTokenPolicy,
    now: Timestamp,
) -> bool {
    record.previous_token_hash == Some(*token.hash())
        && token.claims().generation.saturating_add(1) == record.generation
        && now.since(record.ttl_started_at()) < rotation.previous_token_overlap
}
