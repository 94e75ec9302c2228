//! Replaced tokens: repetition of a renewal, and overlap.

use super::*;

const WINDOW: u64 = 10;

impl Case {
    /// A session that was renewed at `NOW + TTL / 2` with a key, and the token that was replaced. The retry window is 10 seconds.
    pub(super) fn renewed() -> Self {
        let mut case = Self::valid();
        let replaced = ReplacedTokenPolicy {
            retry_window: WINDOW,
            ..ReplacedTokenPolicy::default()
        };
        let previous = sign(&case.claims).hash();
        let retry_hash = RetryHash::of(&previous, &next_token_hash(), &key("the-first-key"));
        case.record.generation = 2;
        case.record.last_renewal = Some(LastRenewal {
            previous_token_hash: Some(previous),
            retry_hash: Some(retry_hash),
            ..LastRenewal::new(case.now, 2, replaced)
        });
        case.key = Some(key("the-first-key"));
        case.superseded = true;
        case
    }

    pub(super) fn after(mut self, seconds: u64) -> Self {
        self.now = self.now.plus(seconds);
        self
    }
}

fn key(text: &str) -> IdempotencyKey {
    text.parse().unwrap()
}

#[test]
fn repetition_within_the_retry_window_gives_the_claims_of_the_first_renewal() {
    let claims = Claims {
        generation: 2,
        issued_at: NOW.plus(TTL / 2),
        expires_at: NOW.plus(TTL / 2 + TTL),
        ..claims()
    };
    for (after, expected) in [
        (0, Ok(RenewalDecision::Repeat(claims.clone()))),
        (WINDOW - 1, Ok(RenewalDecision::Repeat(claims.clone()))),
        (WINDOW, Err(ErrorKind::SessionRenewalMismatch)),
        (WINDOW + 1, Err(ErrorKind::SessionRenewalMismatch)),
    ] {
        let renewal = Case::renewed().after(after).renew();
        assert_eq!(renewal.map_err(|rejection| rejection.kind), expected, "{after}");
    }
    let mut off = Case::renewed();
    off.replaced().retry_window = 0;
    assert_eq!(off.renew_kind(), Err(ErrorKind::SessionRenewalMismatch));
    // A server with a slow clock sees the renewal in the future.
    let mut slow = Case::renewed();
    slow.now = NOW;
    assert!(slow.renew().is_ok());
}

#[test]
fn repetition_needs_the_same_tokens_and_key() {
    let mismatch = Err(ErrorKind::SessionRenewalMismatch);
    let first = || key("the-first-key");
    let previous = sign(&Case::renewed().claims).hash();
    let other = TokenHash::of("another");
    for (sent, stored, expected) in [
        (
            Some(first()),
            Some(RetryHash::of(&previous, &next_token_hash(), &first())),
            Ok(()),
        ),
        (
            None,
            Some(RetryHash::of(&previous, &next_token_hash(), &first())),
            mismatch,
        ),
        (Some(first()), None, mismatch),
        (None, None, mismatch),
        (
            Some(key("the-first-kez")),
            Some(RetryHash::of(&previous, &next_token_hash(), &first())),
            mismatch,
        ),
        (
            Some(first()),
            Some(RetryHash::of(&other, &next_token_hash(), &first())),
            mismatch,
        ),
        // A renewal that issued another token than the current one.
        (
            Some(first()),
            Some(RetryHash::of(&previous, &other, &first())),
            mismatch,
        ),
    ] {
        let mut case = Case::renewed();
        case.key = sent;
        case.last_renewal().retry_hash = stored;
        assert_eq!(case.renew_kind(), expected);
    }
}

#[test]
fn repetition_checks_revoked_and_expiry_but_neither_limit_nor_half_of_the_ttl() {
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
        (|case| case.record.ttl = 0, Err(ErrorKind::TokenExpired)),
        (
            |case| case.record.absolute_expires_at = case.now,
            Err(ErrorKind::SessionAbsoluteLifetimeExceeded),
        ),
        (|case| case.record.max_renewals = 2, Ok(())),
    ];
    for (row, (change, expected)) in rows.iter().enumerate() {
        let mut case = Case::renewed();
        case.replaced().retry_window = 1_000;
        change(&mut case);
        assert_eq!(case.renew_kind(), *expected, "{row}");
    }
}

#[test]
fn previous_token_is_admitted_within_its_overlap_and_marked() {
    for (overlap, after, expected) in [
        (0, 0, Err(ErrorKind::TokenSuperseded)),
        (5, 0, Ok(MatchedToken::Previous)),
        (5, 4, Ok(MatchedToken::Previous)),
        (5, 5, Err(ErrorKind::TokenSuperseded)),
        // The expiry of the previous token comes before the end of the overlap.
        (1_000, TTL / 2 - 1, Ok(MatchedToken::Previous)),
        (1_000, TTL / 2, Err(ErrorKind::TokenExpired)),
    ] {
        let mut case = Case::renewed().after(after);
        case.replaced().previous_token_overlap = overlap;
        let decision = case.try_admit().map_err(|rejection| rejection.kind);
        assert_eq!(decision, expected, "{overlap} {after}");
        case.key = None;
        assert!(case.renew().is_err(), "an overlap never allows a renewal");
    }
    assert_eq!(Case::valid().try_admit(), Ok(MatchedToken::Current));
}

#[test]
fn overlap_admits_only_the_previous_token_of_an_active_session() {
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
            |case| {
                case.last_renewal().previous_token_hash = Some(TokenHash::of("another of that generation"));
            },
            ErrorKind::TokenSuperseded,
        ),
        (
            |case| case.last_renewal().previous_token_hash = None,
            ErrorKind::TokenSuperseded,
        ),
        (|case| case.record.ttl = 0, ErrorKind::TokenExpired),
    ];
    for (row, (change, kind)) in changes.iter().enumerate() {
        let mut case = Case::renewed();
        case.replaced().previous_token_overlap = 5;
        change(&mut case);
        assert_eq!(case.admit(), Err(*kind), "{row}");
    }
}
