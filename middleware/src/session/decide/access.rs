use super::{Rejection, check_session, reject_replaced};
use crate::{clock::Timestamp, error::ErrorKind, session::SessionRecord, token::VerifiedToken};

/// The token of the record that the presented token matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatchedToken {
    /// The current token.
    Current,
    /// The previous token, within its overlap.
    Previous,
}

/// Decides whether a verified token may use the API now.
///
/// The checks, in this order: revoked, the session's own agent, expiry of the token, current token (or the previous one within
/// its overlap), expiry of the session.
///
/// # Errors
/// `SessionRevoked`, `InvalidToken`, `TokenExpired`, `SessionStateLost`, `TokenSuperseded`.
pub fn admit(
    record: &SessionRecord,
    token: &VerifiedToken,
    now: Timestamp,
) -> Result<MatchedToken, Rejection> {
    check_session(record, token).map_err(Rejection::by_session)?;
    token.check_expiry(now).map_err(Rejection::by_expiry)?;
    let matched = if record.token_hash == *token.hash() {
        MatchedToken::Current
    } else if is_in_overlap(record, token, now) {
        MatchedToken::Previous
    } else {
        return Err(reject_replaced(record, token, now, ErrorKind::TokenSuperseded));
    };
    if now >= record.expires_at() {
        return Err(ErrorKind::TokenExpired.into());
    }
    Ok(matched)
}

fn is_in_overlap(record: &SessionRecord, token: &VerifiedToken, now: Timestamp) -> bool {
    record.last_renewal.as_ref().is_some_and(|renewal| {
        renewal.previous_token_hash == Some(*token.hash())
            && token.claims().generation.saturating_add(1) == record.generation
            && now < renewal.previous_token_until()
    })
}
