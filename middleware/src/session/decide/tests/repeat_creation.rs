use super::*;

/// A new session, one second after its creation.
fn fresh() -> (SessionRecord, Timestamp) {
    (Case::with_ttl(TTL).record, NOW.plus(1))
}

#[test]
fn first_token_has_the_claims_of_the_creation() {
    let (record, now) = fresh();
    assert_eq!(repeat_creation(&record, now), Ok(Case::with_ttl(TTL).claims));
    let last = record.expires_at().0 - 1;
    assert!(repeat_creation(&record, Timestamp(last)).is_ok());
    let expired = repeat_creation(&record, record.expires_at());
    assert_eq!(expired, Err(ErrorKind::TokenExpired));
}

#[test]
fn repeated_creation_checks_revoked_then_lifetime_then_expiry_then_first_token() {
    let (mut record, now) = fresh();
    record.generation = 1;
    assert_eq!(repeat_creation(&record, now), Err(ErrorKind::TokenSuperseded));
    record.ttl = 1;
    assert_eq!(repeat_creation(&record, now), Err(ErrorKind::TokenExpired));
    record.absolute_expires_at = now;
    let exceeded = ErrorKind::SessionAbsoluteLifetimeExceeded;
    assert_eq!(repeat_creation(&record, now), Err(exceeded));
    record.revoked_at = Some(now);
    assert_eq!(repeat_creation(&record, now), Err(ErrorKind::SessionRevoked));
}
