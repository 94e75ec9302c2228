mod rotation;
mod times;

use super::*;
use crate::{
    session::{IdempotencyKey, OnReuse, RetryHash},
    testing::{LIFETIME, NOW, TTL, claims, other_agent, record, sign, verifier},
    token::{Claims, TokenHash},
};

/// What a decision is made of.
struct Case {
    record: SessionRecord,
    claims: Claims,
    superseded: bool,
    key: Option<IdempotencyKey>,
    rotation: ReplacedTokenPolicy,
    now: Timestamp,
}

type Change = fn(&mut Case);
type Fault = (ErrorKind, Change);

impl Case {
    /// A session that was renewed once, with its current token, at a time at which that can be renewed again.
    fn sound() -> Self {
        let claims = Claims {
            generation: 1,
            ..claims()
        };
        Self {
            record: record(&claims),
            claims,
            superseded: false,
            key: None,
            rotation: ReplacedTokenPolicy::default(),
            now: NOW.plus(TTL / 2),
        }
    }

    fn with<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut case = Self::sound();
        changes.into_iter().for_each(|change| change(&mut case));
        case
    }

    /// A session whose token has this lifetime.
    fn of_ttl(ttl: u64) -> Self {
        let claims = Claims {
            expires_at: NOW.plus(ttl),
            ..claims()
        };
        let mut record = record(&claims);
        record.ttl = ttl;
        Self {
            record,
            claims,
            superseded: false,
            key: None,
            rotation: ReplacedTokenPolicy::default(),
            now: NOW,
        }
    }

    fn at(self, seconds: u64) -> Self {
        Self {
            now: NOW.plus(seconds),
            ..self
        }
    }

    fn decide<T>(&self, decide: impl Fn(&SessionRecord, &VerifiedToken) -> T) -> T {
        let token = sign(&self.claims);
        let mut record = self.record.clone();
        record.token_hash = match self.superseded {
            true => TokenHash::of("the token after"),
            false => token.hash(),
        };
        decide(&record, &verifier().verify(token.expose()).unwrap())
    }

    fn stands(&self) -> Result<(), ErrorKind> {
        self.decide(check_session)
    }

    fn try_admit(&self) -> Result<MatchedToken, Rejection> {
        self.decide(|record, token| admit(record, token, &self.rotation, self.now))
    }

    fn admit(&self) -> Result<(), ErrorKind> {
        self.try_admit().map(drop).map_err(|refusal| refusal.kind)
    }

    fn renew(&self) -> Result<Renewal, Rejection> {
        self.decide(|record, token| renew(record, token, self.key.as_ref(), &self.rotation, self.now))
    }

    fn renew_kind(&self) -> Result<(), ErrorKind> {
        self.renew().map(drop).map_err(|refusal| refusal.kind)
    }
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
const LIFETIME_OVER: Fault = (ErrorKind::SessionAbsoluteLifetimeExceeded, |case| {
    case.record.absolute_expires_at = case.now;
});
const TOO_EARLY: Fault = (ErrorKind::RenewalTooEarly, |case| {
    case.record.last_renewed_at = Some(case.now);
    case.record.expires_at = case.now.plus(TTL);
    case.claims.expires_at = case.now.plus(TTL);
});

/// Each fault alone is named, and of several the first.
fn assert_order(faults: &[Fault], decide: fn(&Case) -> Result<(), ErrorKind>) {
    assert_eq!(decide(&Case::sound()), Ok(()));
    for (first, (kind, change)) in faults.iter().enumerate() {
        assert_eq!(decide(&Case::with([change])), Err(*kind), "alone");
        let all = faults[first..].iter().map(|(_, change)| change);
        assert_eq!(decide(&Case::with(all)), Err(*kind), "with all that follow");
    }
}

#[test]
fn admission_asks_revoked_then_agent_then_expiry_then_current_token() {
    let superseded = (ErrorKind::TokenSuperseded, SUPERSEDED);
    assert_order(&[REVOKED, OTHER_AGENT, EXPIRED, superseded], Case::admit);
}

#[test]
fn renewal_asks_revoked_then_current_token_then_expiry_then_limit() {
    assert_order(
        &[REVOKED, OTHER_AGENT, MISMATCH, EXPIRED, LIMIT],
        Case::renew_kind,
    );
}

#[test]
fn renewal_asks_limit_then_absolute_lifetime_then_half_of_the_ttl() {
    assert_order(
        &[REVOKED, OTHER_AGENT, MISMATCH, LIMIT, LIFETIME_OVER, TOO_EARLY],
        Case::renew_kind,
    );
}

#[test]
fn once_the_absolute_lifetime_is_over_the_tokens_expiry_is_not_asked() {
    const BOTH_OVER: Fault = (ErrorKind::SessionAbsoluteLifetimeExceeded, |case| {
        case.now = case.claims.expires_at;
        case.record.absolute_expires_at = case.now;
    });
    assert_order(
        &[REVOKED, OTHER_AGENT, MISMATCH, LIMIT, BOTH_OVER],
        Case::renew_kind,
    );
}

#[test]
fn a_session_stands_whatever_became_of_the_token() {
    for change in [SUPERSEDED, EXPIRED.1, LIMIT.1, LIFETIME_OVER.1] {
        assert_eq!(Case::with([&change]).stands(), Ok(()));
    }
    for (kind, change) in [REVOKED, OTHER_AGENT] {
        assert_eq!(Case::with([&change]).stands(), Err(kind));
    }
}
