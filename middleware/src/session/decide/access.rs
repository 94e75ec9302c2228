use super::{Refusal, not_current, standing};
use crate::{
    clock::Timestamp,
    error::ErrorKind,
    session::{RotationPolicy, SessionRecord},
    token::ProvenToken,
};

/// As what a token is let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
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
    token: &ProvenToken,
    rotation: &RotationPolicy,
    now: Timestamp,
) -> Result<Admission, Refusal> {
    standing(record, token)?;
    token.unexpired(now)?;
    let admission = if record.token_hash == *token.hash() {
        Admission::Current
    } else if is_overlapping(record, token, rotation, now) {
        Admission::Previous
    } else {
        return Err(not_current(
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
    token: &ProvenToken,
    rotation: &RotationPolicy,
    now: Timestamp,
) -> bool {
    record.previous_token_hash == Some(*token.hash())
        && token.claims().generation.saturating_add(1) == record.generation
        && now.since(record.term_began_at()) < rotation.previous_token_overlap
}
