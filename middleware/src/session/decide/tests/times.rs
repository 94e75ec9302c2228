//! Each time limit, tested in the second before it, at it, and after it.

use super::*;

fn renewal(at: Timestamp, count: u32) -> LastRenewal {
    LastRenewal::new(at, count, ReplacedTokenPolicy::default())
}

#[test]
fn token_is_admitted_until_the_second_before_the_earlier_expiry() {
    let expired = Err(ErrorKind::TokenExpired);
    // The expiry of the record, the expiry of the token, and the time of the decision, in seconds after `NOW`.
    for (record_expiry, token_expiry, now, expected) in [
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
        let case = || Case::with_ttl(token_expiry).at(now);
        let mut by_ttl = case();
        by_ttl.record.ttl = record_expiry;
        let mut by_lifetime = case();
        by_lifetime.record.ttl = LIFETIME;
        by_lifetime.record.absolute_expires_at = NOW.plus(record_expiry);
        let mut by_renewal = case();
        by_renewal.record.ttl = record_expiry;
        by_renewal.record.last_renewal = Some(renewal(NOW, 1));
        for case in [by_ttl, by_lifetime, by_renewal] {
            assert_eq!(case.admit(), expected, "{record_expiry} {token_expiry} {now}");
        }
    }
}

#[test]
fn renewal_is_granted_from_half_of_the_ttl_until_the_expiry() {
    let too_early = |seconds| {
        Err(Rejection {
            retry_after: Some(seconds),
            ..ErrorKind::RenewalTooEarly.into()
        })
    };
    let expired = Err(ErrorKind::TokenExpired.into());
    for (ttl, now, expected) in [
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
        // Half of one second is rounded up to the whole ttl.
        (1, 0, too_early(1)),
        (1, 1, expired),
    ] {
        let decision = Case::with_ttl(ttl).at(now).renew();
        assert_eq!(decision.map(drop), expected, "ttl {ttl}, at {now}");
    }
}

#[test]
fn renewal_is_granted_from_half_of_a_lifetime_that_the_end_of_the_session_cuts_short() {
    for (now, granted) in [(49, false), (50, true)] {
        let mut case = Case::with_ttl(100).at(now);
        case.record.ttl = 1_000;
        case.record.absolute_expires_at = NOW.plus(100);
        assert_eq!(case.renew().is_ok(), granted, "{now}");
    }
}

#[test]
fn rotation_does_not_delay_the_next_renewal() {
    let mut case = Case::with_ttl(100).at(50);
    case.claims.issued_at = NOW.plus(49);
    case.record.rotated_generation = Some(0);
    assert!(case.renew().is_ok());
}

#[test]
fn renewable_from_is_half_of_the_lifetime_rounded_up() {
    for (lifetime, after) in [(0, 0), (1, 1), (2, 1), (3, 2), (100, 50), (101, 51)] {
        let mut record = Case::with_ttl(lifetime).record;
        assert_eq!(renewable_from(&record), NOW.plus(after), "{lifetime}");
        record.last_renewal = Some(renewal(NOW.plus(7), 1));
        assert_eq!(renewable_from(&record), NOW.plus(7 + after), "{lifetime}");
        record.absolute_expires_at = NOW;
        assert_eq!(renewable_from(&record), NOW.plus(7), "expiry before the renewal");
    }
}

#[test]
fn renew_after_lies_between_half_and_four_fifths_of_the_lifetime() {
    let with_hash = |lifetime, first: u8, second: u8| {
        let mut record = record(&claims());
        record.ttl = lifetime;
        record.absolute_expires_at = Timestamp(u64::MAX);
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
    // The token's hash alone decides, and spreads the times evenly.
    assert_eq!(with_hash(100, 128, 0), 65);
    assert_eq!(with_hash(100, 128, 0), with_hash(100, 128, 1));
    let spread: std::collections::BTreeSet<_> = (0..=255).map(|first| with_hash(86_400, first, 0)).collect();
    assert_eq!(spread.len(), 256);
    assert!(with_hash(u64::MAX, 255, 255) >= with_hash(u64::MAX, 0, 0));
}

#[test]
fn renewal_is_rejected_from_the_second_of_the_absolute_expiry() {
    let exceeded = Err(ErrorKind::SessionAbsoluteLifetimeExceeded);
    for (now, expected) in [(79, Ok(())), (80, exceeded), (81, exceeded)] {
        let mut case = Case::with_ttl(80).at(now);
        case.record.absolute_expires_at = NOW.plus(80);
        assert_eq!(case.renew_kind(), expected, "{now}");
    }
}

#[test]
fn renewal_is_granted_until_the_renewal_limit() {
    let limit = Err(ErrorKind::RenewalLimitReached);
    for (count, max, expected) in [
        (0, 0, limit),
        (0, 1, Ok(())),
        (29, 30, Ok(())),
        (30, 30, limit),
        (31, 30, limit),
        (u32::MAX, u32::MAX, limit),
    ] {
        let mut case = Case::valid();
        case.record.last_renewal = (count > 0).then(|| renewal(NOW, count));
        case.record.max_renewals = max;
        assert_eq!(case.renew_kind(), expected, "{count} of {max}");
    }
}

#[test]
fn renewed_token_expires_after_one_ttl_and_never_after_the_session() {
    for (absolute, expires) in [(149, 149), (150, 150), (151, 150), (LIFETIME, 150)] {
        let mut case = Case::valid();
        case.record.absolute_expires_at = NOW.plus(absolute);
        case.last_renewal().count = 3;
        let next = NextToken {
            claims: Claims {
                generation: 2,
                issued_at: NOW.plus(50),
                expires_at: NOW.plus(expires),
                ..claims()
            },
            renewal_count: 4,
        };
        assert_eq!(case.renew(), Ok(RenewalDecision::Replace(next)), "{absolute}");
    }
}
