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
        Err(Rejection {
            retry_after: Some(seconds),
            ..ErrorKind::RenewalTooEarly.into()
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
fn the_half_is_that_of_this_term_even_where_the_session_grants_longer_ones() {
    let mut case = Case::of_ttl(100);
    case.record.ttl = 1_000;
    assert!(case.at(50).renew().is_ok());
}

#[test]
fn a_rotation_by_an_administrator_does_not_put_renewals_off() {
    let mut case = Case::of_ttl(100).at(50);
    case.claims.issued_at = NOW.plus(49);
    case.record.rotated_generation = Some(0);
    assert!(case.renew().is_ok());
}

#[test]
fn a_session_is_renewable_from_half_of_its_term_rounded_up() {
    for (lifetime, after) in [(0, 0), (1, 1), (2, 1), (3, 2), (100, 50), (101, 51)] {
        let mut record = Case::of_ttl(lifetime).record;
        assert_eq!(renewable_from(&record), NOW.plus(after), "{lifetime}");
        record.last_renewed_at = Some(NOW.plus(7));
        record.expires_at = NOW.plus(7 + lifetime);
        assert_eq!(renewable_from(&record), NOW.plus(7 + after), "{lifetime}");
        record.expires_at = NOW;
        assert_eq!(renewable_from(&record), NOW.plus(7), "backwards");
    }
}

#[test]
fn an_agent_is_to_renew_between_half_and_four_fifths_of_the_term() {
    let with_hash = |lifetime, first: u8, second: u8| {
        let mut record = record(&claims());
        record.expires_at = NOW.plus(lifetime);
        let mut hash = [7; 32];
        (hash[0], hash[1]) = (first, second);
        record.token_hash = TokenHash::from_bytes(hash);
        renew_after(&record).since(NOW)
    };
    for (lifetime, first, last) in [
        (100, 50, 80),
        (101, 51, 80),
        (86_400, 43_200, 69_120),
        (4, 2, 3),
        (2, 1, 1),
        (1, 1, 1),
        (0, 0, 0),
    ] {
        assert_eq!(with_hash(lifetime, 0, 0), first, "{lifetime}");
        assert_eq!(with_hash(lifetime, 255, 255), last, "{lifetime}");
    }
    // Evenly, and as far as the token's hash alone decides.
    assert_eq!(with_hash(100, 128, 0), 65);
    assert_eq!(with_hash(100, 128, 0), with_hash(100, 128, 1));
    let spread: std::collections::BTreeSet<_> = (0..=255).map(|first| with_hash(86_400, first, 0)).collect();
    assert_eq!(spread.len(), 256);
    assert!(with_hash(u64::MAX, 255, 255) >= with_hash(u64::MAX, 0, 0));
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
        let grant = NextToken {
            claims: Claims {
                generation: 2,
                issued_at: NOW.plus(50),
                expires_at: NOW.plus(expires),
                ..claims()
            },
            renewal_count: 4,
        };
        assert_eq!(case.renew(), Ok(Renewal::NextToken(grant)), "{absolute}");
    }
}
