//! What becomes of replaced tokens: repetition, overlap, reuse, and a store that lost writes.

use super::*;

const WINDOW: u64 = 10;

impl Case {
    /// A session that was renewed at `NOW + TTL / 2` with a key, and the token from before. The window is 10 seconds.
    fn renewed() -> Self {
        let mut case = Self::sound();
        case.rotation.retry_window = WINDOW;
        case.record.last_renewed_at = Some(case.now);
        case.record.expires_at = case.now.plus(TTL);
        case.record.generation = 2;
        case.record.renewal_count = 2;
        let before = sign(&case.claims).hash();
        case.record.previous_token_hash = Some(before);
        case.record.retry_hash = Some(RetryHash::of(&before, &after(), &key("the-first-key")));
        case.key = Some(key("the-first-key"));
        case.superseded = true;
        case
    }

    fn after(mut self, seconds: u64) -> Self {
        self.now = self.now.plus(seconds);
        self
    }

    fn suspicion(&self) -> Option<SecurityEvent> {
        let renewal = self.renew().unwrap_err();
        let access = self.try_admit().unwrap_err();
        assert_eq!(renewal.suspicion, access.suspicion);
        renewal.suspicion
    }
}

/// The hash of the current token, where it is not the one presented.
fn after() -> TokenHash {
    TokenHash::of("the token after")
}

fn key(text: &str) -> IdempotencyKey {
    text.parse().unwrap()
}

#[test]
fn a_renewal_is_repeated_inside_the_window_with_the_claims_of_the_first_time() {
    let claims = Claims {
        generation: 2,
        issued_at: NOW.plus(TTL / 2),
        expires_at: NOW.plus(TTL / 2 + TTL),
        ..claims()
    };
    for (after, verdict) in [
        (0, Ok(Renewal::Repeat(claims))),
        (WINDOW - 1, Ok(Renewal::Repeat(claims))),
        (WINDOW, Err(ErrorKind::SessionRenewalMismatch)),
        (WINDOW + 1, Err(ErrorKind::SessionRenewalMismatch)),
    ] {
        let renewal = Case::renewed().after(after).renew();
        assert_eq!(renewal.map_err(|refusal| refusal.kind), verdict, "{after}");
    }
    let mut off = Case::renewed();
    off.rotation.retry_window = 0;
    assert_eq!(off.renew_kind(), Err(ErrorKind::SessionRenewalMismatch));
    // A server whose clock is behind takes the renewal for just made.
    let mut behind = Case::renewed();
    behind.now = NOW;
    assert!(behind.renew().is_ok());
}

#[test]
fn a_repetition_needs_the_same_tokens_and_key() {
    let mismatch = Err(ErrorKind::SessionRenewalMismatch);
    let first = || key("the-first-key");
    let before = sign(&Case::renewed().claims).hash();
    let other = TokenHash::of("another");
    for (sent, kept, verdict) in [
        (
            Some(first()),
            Some(RetryHash::of(&before, &after(), &first())),
            Ok(()),
        ),
        (None, Some(RetryHash::of(&before, &after(), &first())), mismatch),
        (Some(first()), None, mismatch),
        (None, None, mismatch),
        (
            Some(key("the-first-kez")),
            Some(RetryHash::of(&before, &after(), &first())),
            mismatch,
        ),
        (
            Some(first()),
            Some(RetryHash::of(&other, &after(), &first())),
            mismatch,
        ),
        // Of a renewal that made another token than the current one.
        (
            Some(first()),
            Some(RetryHash::of(&before, &other, &first())),
            mismatch,
        ),
    ] {
        let mut case = Case::renewed();
        (case.key, case.record.retry_hash) = (sent, kept);
        assert_eq!(case.renew_kind(), verdict);
    }
}

#[test]
fn a_repetition_asks_revoked_then_expiry_and_neither_limit_nor_half() {
    type Row = (Change, Result<(), ErrorKind>);
    let rows: [Row; 6] = [
        (
            |case| case.record.revoked_at = Some(NOW),
            Err(ErrorKind::SessionRevoked),
        ),
        (
            |case| case.record.agent_id = other_agent(),
            Err(ErrorKind::InvalidToken),
        ),
        (
            |case| case.now = case.claims.expires_at,
            Err(ErrorKind::TokenExpired),
        ),
        (
            |case| case.record.expires_at = case.now,
            Err(ErrorKind::TokenExpired),
        ),
        (
            |case| case.record.absolute_expires_at = case.now,
            Err(ErrorKind::SessionAbsoluteLifetimeExceeded),
        ),
        (|case| case.record.max_renewals = 2, Ok(())),
    ];
    for (row, (change, verdict)) in rows.iter().enumerate() {
        let mut case = Case::renewed();
        case.rotation.retry_window = 1_000;
        change(&mut case);
        assert_eq!(case.renew_kind(), *verdict, "{row}");
    }
}

#[test]
fn the_token_before_is_admitted_in_its_overlap_as_such() {
    for (overlap, after, verdict) in [
        (0, 0, Err(ErrorKind::TokenSuperseded)),
        (5, 0, Ok(MatchedToken::Previous)),
        (5, 4, Ok(MatchedToken::Previous)),
        (5, 5, Err(ErrorKind::TokenSuperseded)),
        // Its own expiry ends it earlier.
        (1_000, TTL / 2 - 1, Ok(MatchedToken::Previous)),
        (1_000, TTL / 2, Err(ErrorKind::TokenExpired)),
    ] {
        let mut case = Case::renewed().after(after);
        case.rotation.previous_token_overlap = overlap;
        let verdict_is = case.try_admit().map_err(|refusal| refusal.kind);
        assert_eq!(verdict_is, verdict, "{overlap} {after}");
        case.key = None;
        assert!(case.renew().is_err(), "never for renewal");
    }
    assert_eq!(Case::sound().try_admit(), Ok(MatchedToken::Current));
}

#[test]
fn no_other_token_is_admitted_in_an_overlap() {
    let changes: [(Change, ErrorKind); 5] = [
        (
            |case| case.record.revoked_at = Some(NOW),
            ErrorKind::SessionRevoked,
        ),
        (
            |case| case.record.agent_id = other_agent(),
            ErrorKind::InvalidToken,
        ),
        (
            |case| case.record.previous_token_hash = Some(TokenHash::of("another of that generation")),
            ErrorKind::TokenSuperseded,
        ),
        (
            |case| case.record.previous_token_hash = None,
            ErrorKind::TokenSuperseded,
        ),
        (|case| case.record.expires_at = case.now, ErrorKind::TokenExpired),
    ];
    for (row, (change, kind)) in changes.iter().enumerate() {
        let mut case = Case::renewed();
        case.rotation.previous_token_overlap = 5;
        change(&mut case);
        assert_eq!(case.admit(), Err(*kind), "{row}");
    }
}

#[test]
fn a_replaced_token_is_suspicious_once_its_grace_is_over() {
    let reuse = Some(SecurityEvent::Reuse);
    for (window, overlap, after, suspicion) in [
        (10, 0, 9, None),
        (10, 0, 10, reuse),
        (10, 20, 20, reuse),
        (30, 20, 29, None),
        (30, 20, 30, reuse),
        (0, 0, 0, reuse),
        // Once it has expired it does no harm.
        (0, 0, TTL / 2, None),
    ] {
        let mut case = Case::renewed().after(after);
        case.rotation.retry_window = window;
        case.rotation.previous_token_overlap = overlap;
        case.key = None;
        assert_eq!(case.suspicion(), suspicion, "{window} {overlap} {after}");
    }
}

#[test]
fn an_older_generation_has_no_grace_and_the_same_one_none_is_suspicious() {
    for (generation, suspicion) in [(3, Some(SecurityEvent::Reuse)), (2, None), (1, None)] {
        let mut case = Case::renewed();
        case.record.generation = generation;
        case.key = None;
        assert_eq!(case.suspicion(), suspicion, "{generation}");
    }
}

#[test]
fn tokens_from_before_a_rotation_by_an_administrator_are_not_suspicious() {
    for (rotated, suspicion) in [
        (None, Some(SecurityEvent::Reuse)),
        (Some(1), Some(SecurityEvent::Reuse)),
        (Some(2), None),
        (Some(3), None),
    ] {
        let mut case = Case::renewed();
        case.rotation.retry_window = 0;
        case.record.generation = 3;
        case.record.rotated_generation = rotated;
        assert_eq!(case.suspicion(), suspicion, "{rotated:?}");
    }
}

#[test]
fn a_token_ahead_of_the_record_means_lost_writes() {
    let mut case = Case::renewed();
    case.record.generation = 0;
    case.rotation.on_reuse = OnReuse::Revoke;
    for refusal in [case.try_admit().unwrap_err(), {
        case.key = None;
        case.renew().unwrap_err()
    }] {
        assert_eq!(refusal.kind, ErrorKind::SessionStateLost);
        assert_eq!(refusal.suspicion, Some(SecurityEvent::StateLost));
    }
    case.record.revoked_at = Some(NOW);
    assert_eq!(case.admit(), Err(ErrorKind::SessionRevoked));
}

#[test]
fn a_rotation_keeps_expiry_and_renewal_count() {
    let mut record = Case::renewed().record;
    record.max_renewals = 2;
    let now = NOW.plus(TTL / 2 + 1);
    let grant = NextToken {
        claims: Claims {
            generation: 3,
            issued_at: now,
            expires_at: record.expires_at,
            ..claims()
        },
        renewal_count: 2,
    };
    assert_eq!(rotate(&record, now), Ok(grant));
    record.absolute_expires_at = record.expires_at.plus(1);
    assert!(rotate(&record, Timestamp(record.expires_at.0 - 1)).is_ok());
    let over = rotate(&record, record.absolute_expires_at);
    assert_eq!(over, Err(ErrorKind::SessionAbsoluteLifetimeExceeded));
    assert_eq!(rotate(&record, record.expires_at), Err(ErrorKind::TokenExpired));
    record.revoked_at = Some(NOW);
    let revoked = rotate(&record, record.absolute_expires_at);
    assert_eq!(revoked, Err(ErrorKind::SessionRevoked));
}
