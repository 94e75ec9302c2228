use crate::{clock::Timestamp, error::ErrorKind, session::SessionRecord, token::Claims};

/// Decides whether the first token of a session may be issued again, because the response to its creation was lost. Returns the
/// claims of that token.
///
/// The checks, in this order: revoked, absolute lifetime, expiry, first token. A token that was replaced is never issued again.
///
/// # Errors
/// `SessionRevoked`, `SessionAbsoluteLifetimeExceeded`, `TokenExpired`, `TokenSuperseded`.
pub fn repeat_creation(record: &SessionRecord, now: Timestamp) -> Result<Claims, ErrorKind> {
    if record.revoked_at.is_some() {
        return Err(ErrorKind::SessionRevoked);
    }
    if now >= record.absolute_expires_at {
        return Err(ErrorKind::SessionAbsoluteLifetimeExceeded);
    }
    if now >= record.expires_at() {
        return Err(ErrorKind::TokenExpired);
    }
    if record.generation > 0 || record.last_renewal.is_some() {
        return Err(ErrorKind::TokenSuperseded);
    }
    Ok(Claims::new(
        record.id,
        record.agent_id,
        record.generation,
        record.created_at(),
        record.expires_at(),
    ))
}
