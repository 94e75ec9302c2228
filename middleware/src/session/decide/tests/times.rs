//! Every rule at the second before its boundary, at it, and after it.

use super::*;

#[test]
fn a_token_is_admitted_until_the_second_before_its_expiry() {
    let expired = Err(ErrorKind::TokenExpired);
    // (the record's expiry, the token's, now, verdict), all in seconds after NOW: the earlier expiry counts.
    for (record_expiry, token_expiry, now, verdict) in [
        (100, 100, 0, Ok(())),
        (100, 100, 99, Ok(())),
        (100, 100, 100, expired),
        (100, 100, 101, expired),
        (80, 100, 79, Ok(())),
        (80, 100, 80, expired),
        (80, 100, 81, expired),
        (100, 80, 79, Ok(())),
        (100, 80, 80, expired),
        (100, 80, 81, expired),
    ] {
        let mut case = Case::of_ttl(token_expiry).at(now);
        case.record.expires_at = NOW.plus(record_expiry);
        assert_eq!(case.admit(), verdict, "{record_expiry} {token_expiry} {now}");
    }
}

#[test]
fn a_renewal_is_granted_from_half_of_the_ttl_until_the_expiry() {
    let too_early = |seconds| {
        Err(RenewalRefusal {
            kind: ErrorKind::RenewalTooEarly,
            retry_after: Some(seconds),
        })
    };
    let expired = Err(ErrorKind::TokenExpired.into());
    for (ttl, now, verdict) in [
        (100, 0, too_early(50)),
        (100, 49, too_early(1)),
        (100, 50, Ok(())),
        (100, 51, Ok(())),
        (100, 99, Ok(())),
        (100, 100, expired),
        (100, 101, expired),
        // Half of an odd ttl is rounded up.
        (101, 50, too_early(1)),
        (101, 51, Ok(())),
        (101, 52, Ok(())),
        // Nothing is left of a ttl of one second.
        (1, 0, too_early(1)),
        (1, 1, expired),
    ] {
        let renewal = Case::of_ttl(ttl).at(now).renew();
        assert_eq!(renewal.map(drop), verdict, "ttl {ttl}, at {now}");
    }
}

#[test]
fn the_half_is_that_of_this_token_even_where_the_session_grants_longer_ones() {
    let mut case = Case::of_ttl(100);
    case.record.ttl = 1_000;
    assert!(case.at(50).renew().is_ok());
}

#[test]
fn renewable_from_is_half_of_the_lifetime_rounded_up() {
    for (lifetime, after) in [(0, 0), (1, 1), (2, 1), (3, 2), (100, 50), (101, 51)] {
        assert_eq!(
            renewable_from(&Case::of_ttl(lifetime).claims),
            NOW.plus(after),
            "{lifetime}"
        );
    }
    let backwards = Claims {
        expires_at: Timestamp(NOW.0 - 1),
        ..claims()
    };
    assert_eq!(renewable_from(&backwards), NOW);
}

#[test]
fn the_absolute_lifetime_ends_renewals_at_its_very_second() {
    let over = Err(ErrorKind::SessionAbsoluteLifetimeExceeded);
    for (now, verdict) in [(79, Ok(())), (80, over), (81, over)] {
        let mut case = Case::of_ttl(80).at(now);
        case.record.absolute_expires_at = NOW.plus(80);
        assert_eq!(case.renew_kind(), verdict, "{now}");
    }
}

#[test]
fn a_session_is_renewed_as_often_as_it_may_be() {
    let limit = Err(ErrorKind::RenewalLimitReached);
    for (count, max, verdict) in [
        (0, 0, limit),
        (0, 1, Ok(())),
        (29, 30, Ok(())),
        (30, 30, limit),
        (31, 30, limit),
        (u32::MAX, u32::MAX, limit),
    ] {
        let mut case = Case::sound();
        case.record.renewal_count = count;
        case.record.max_renewals = max;
        assert_eq!(case.renew_kind(), verdict, "{count} of {max}");
    }
}

#[test]
fn a_renewal_lasts_for_the_sessions_ttl_and_never_beyond_the_absolute_lifetime() {
    for (absolute, expires) in [(149, 149), (150, 150), (151, 150), (LIFETIME, 150)] {
        let mut case = Case::sound();
        case.record.absolute_expires_at = NOW.plus(absolute);
        case.record.renewal_count = 3;
        let renewal = Renewal {
            generation: 2,
            renewal_count: 4,
            issued_at: NOW.plus(50),
            expires_at: NOW.plus(expires),
        };
        assert_eq!(case.renew(), Ok(renewal), "{absolute}");
    }
}
