//! Security events of replaced tokens and of lost writes. Rotation by an administrator.

use super::*;

impl Case {
    /// The security event of a rejected request, which is the same for access and renewal.
    fn event(&self) -> Option<SecurityEvent> {
        let renewal = self.renew().unwrap_err();
        let access = self.try_admit().unwrap_err();
        assert_eq!(renewal.event, access.event);
        renewal.event
    }
}

#[test]
fn replaced_token_is_reuse_after_its_retry_window_and_overlap() {
    let reuse = Some(SecurityEvent::TokenReuse);
    for (window, overlap, after, event) in [
        (10, 0, 9, None),
        (10, 0, 10, reuse),
        (10, 20, 20, reuse),
        (30, 20, 29, None),
        (30, 20, 30, reuse),
        (0, 0, 0, reuse),
        // An expired token does no harm.
        (0, 0, TTL / 2, None),
    ] {
        let mut case = Case::renewed().after(after);
        case.replaced().retry_window = window;
        case.replaced().previous_token_overlap = overlap;
        case.key = None;
        assert_eq!(case.event(), event, "{window} {overlap} {after}");
    }
}

#[test]
fn only_the_previous_token_has_a_retry_window_and_the_current_one_is_no_reuse() {
    for (generation, event) in [(3, Some(SecurityEvent::TokenReuse)), (2, None), (1, None)] {
        let mut case = Case::renewed();
        case.record.generation = generation;
        case.key = None;
        assert_eq!(case.event(), event, "{generation}");
    }
}

#[test]
fn token_from_before_a_rotation_is_no_reuse() {
    for (rotated, event) in [
        (None, Some(SecurityEvent::TokenReuse)),
        (Some(1), Some(SecurityEvent::TokenReuse)),
        (Some(2), None),
        (Some(3), None),
    ] {
        let mut case = Case::renewed();
        case.replaced().retry_window = 0;
        case.record.generation = 3;
        case.record.rotated_generation = rotated;
        assert_eq!(case.event(), event, "{rotated:?}");
    }
}

#[test]
fn token_ahead_of_the_record_reveals_lost_writes() {
    let mut case = Case::renewed();
    case.record.generation = 0;
    case.replaced().on_reuse = OnReuse::Revoke;
    for rejection in [case.try_admit().unwrap_err(), {
        case.key = None;
        case.renew().unwrap_err()
    }] {
        assert_eq!(rejection.kind, ErrorKind::SessionStateLost);
        assert_eq!(rejection.event, Some(SecurityEvent::StateLost));
    }
    case.record.revoked_at = Some(NOW);
    assert_eq!(case.admit(), Err(ErrorKind::SessionRevoked));
}

#[test]
fn rotation_keeps_expiry_and_renewal_count() {
    let mut record = Case::renewed().record;
    record.max_renewals = 2;
    let now = NOW.plus(TTL / 2 + 1);
    let next = NextToken {
        claims: Claims {
            generation: 3,
            issued_at: now,
            expires_at: record.expires_at(),
            ..claims()
        },
        renewal_count: 2,
    };
    assert_eq!(rotate(&record, now), Ok(next));
    record.absolute_expires_at = record.expires_at().plus(1);
    assert!(rotate(&record, Timestamp(record.expires_at().0 - 1)).is_ok());
    let exceeded = rotate(&record, record.absolute_expires_at);
    assert_eq!(exceeded, Err(ErrorKind::SessionAbsoluteLifetimeExceeded));
    assert_eq!(rotate(&record, record.expires_at()), Err(ErrorKind::TokenExpired));
    record.revoked_at = Some(NOW);
    let revoked = rotate(&record, record.absolute_expires_at);
    assert_eq!(revoked, Err(ErrorKind::SessionRevoked));
}
