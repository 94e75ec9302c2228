mod repeat_creation;
mod replaced;
mod reuse;
mod times;

use super::*;
use crate::{
    session::{IdempotencyKey, LastRenewal, OnReuse, ReplacedTokenPolicy, RetryHash},
    test_support::{LIFETIME, NOW, TTL, claims, other_agent, record, sign, verifier},
    token::{Claims, TokenHash},
};

/// The inputs of a decision.
struct Case {
    record: SessionRecord,
    claims: Claims,
    superseded: bool,
    key: Option<IdempotencyKey>,
    now: Timestamp,
}

type Change = fn(&mut Case);
/// A change that makes a decision fail, with the expected error.
type Fault = (ErrorKind, Change);

impl Case {
    /// A session that was renewed once, at `NOW`, and its current token. It can be renewed again.
    fn valid() -> Self {
        let claims = Claims {
            generation: 1,
            ..claims()
        };
        Self {
            record: record(&claims),
            claims,
            superseded: false,
            key: None,
            now: NOW.plus(TTL / 2),
        }
    }

    fn with<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut case = Self::valid();
        changes.into_iter().for_each(|change| change(&mut case));
        case
    }

    /// A new session with this ttl, and its first token.
    fn with_ttl(ttl: u64) -> Self {
        let claims = Claims {
            expires_at: NOW.plus(ttl),
            ..claims()
        };
        Self {
            record: record(&claims),
            claims,
            superseded: false,
            key: None,
            now: NOW,
        }
    }

    fn at(self, seconds: u64) -> Self {
        Self {
            now: NOW.plus(seconds),
            ..self
        }
    }

    fn last_renewal(&mut self) -> &mut LastRenewal {
        self.record.last_renewal.as_mut().unwrap()
    }

    /// The rules for the token that the last renewal replaced.
    fn replaced(&mut self) -> &mut ReplacedTokenPolicy {
        &mut self.last_renewal().replaced
    }

    fn decide<T>(&self, decide: impl Fn(&SessionRecord, &VerifiedToken) -> T) -> T {
        let token = sign(&self.claims);
        let mut record = self.record.clone();
        record.token_hash = match self.superseded {
            true => next_token_hash(),
            false => token.hash(),
        };
        decide(&record, &verifier().verify(token.expose()).unwrap())
    }

    fn check_session(&self) -> Result<(), ErrorKind> {
        self.decide(check_session)
    }

    fn try_admit(&self) -> Result<MatchedToken, Rejection> {
        self.decide(|record, token| admit(record, token, self.now))
    }

    fn admit(&self) -> Result<(), ErrorKind> {
        self.try_admit().map(drop).map_err(|rejection| rejection.kind)
    }

    fn renew(&self) -> Result<RenewalDecision, Rejection> {
        self.decide(|record, token| renew(record, token, self.key.as_ref(), self.now))
    }

    fn renew_kind(&self) -> Result<(), ErrorKind> {
        self.renew().map(drop).map_err(|rejection| rejection.kind)
    }
}

/// The hash of the current token in a case with a superseded one.
fn next_token_hash() -> TokenHash {
    TokenHash::of("the next token")
}

const REVOKED: Fault = (ErrorKind::SessionRevoked, |case| {
    case.record.revoked_at = Some(NOW);
});
const OTHER_AGENT: Fault = (ErrorKind::InvalidToken, |case| {
    case.record.agent_id = other_agent();
});
const SUPERSEDED: Change = |case| case.superseded = true;
const EXPIRED: Fault = (ErrorKind::TokenExpired, |case| case.now = case.claims.expires_at);
const MISMATCH: Fault = (ErrorKind::SessionRenewalMismatch, SUPERSEDED);
const LIMIT: Fault = (ErrorKind::RenewalLimitReached, |case| {
    case.record.max_renewals = 1;
});
const LIFETIME_EXCEEDED: Fault = (ErrorKind::SessionAbsoluteLifetimeExceeded, |case| {
    case.record.absolute_expires_at = case.now;
});
const TOO_EARLY: Fault = (ErrorKind::RenewalTooEarly, |case| {
    case.last_renewal().at = case.now;
    case.claims.expires_at = case.now.plus(TTL);
});

/// Asserts that each fault gives its error, alone and together with all later ones.
fn assert_order(faults: &[Fault], decide: fn(&Case) -> Result<(), ErrorKind>) {
    assert_eq!(decide(&Case::valid()), Ok(()));
    for (first, (kind, change)) in faults.iter().enumerate() {
        assert_eq!(decide(&Case::with([change])), Err(*kind), "alone");
        let all = faults[first..].iter().map(|(_, change)| change);
        assert_eq!(decide(&Case::with(all)), Err(*kind), "with all later faults");
    }
}

#[test]
fn admit_checks_revoked_then_agent_then_expiry_then_current_token() {
    let superseded = (ErrorKind::TokenSuperseded, SUPERSEDED);
    assert_order(&[REVOKED, OTHER_AGENT, EXPIRED, superseded], Case::admit);
}

#[test]
fn renew_checks_revoked_then_agent_then_current_token_then_expiry_then_limit() {
    assert_order(
        &[REVOKED, OTHER_AGENT, MISMATCH, EXPIRED, LIMIT],
        Case::renew_kind,
    );
}

#[test]
fn renew_checks_limit_then_absolute_lifetime_then_half_of_the_ttl() {
    assert_order(
        &[
            REVOKED,
            OTHER_AGENT,
            MISMATCH,
            LIMIT,
            LIFETIME_EXCEEDED,
            TOO_EARLY,
        ],
        Case::renew_kind,
    );
}

#[test]
fn expiry_of_the_token_is_not_checked_after_the_absolute_lifetime() {
    const BOTH_EXCEEDED: Fault = (ErrorKind::SessionAbsoluteLifetimeExceeded, |case| {
        case.now = case.claims.expires_at;
        case.record.absolute_expires_at = case.now;
    });
    assert_order(
        &[REVOKED, OTHER_AGENT, MISMATCH, LIMIT, BOTH_EXCEEDED],
        Case::renew_kind,
    );
}

#[test]
fn check_session_checks_only_revoked_and_agent() {
    for change in [SUPERSEDED, EXPIRED.1, LIMIT.1, LIFETIME_EXCEEDED.1] {
        assert_eq!(Case::with([&change]).check_session(), Ok(()));
    }
    for (kind, change) in [REVOKED, OTHER_AGENT] {
        assert_eq!(Case::with([&change]).check_session(), Err(kind));
    }
}
