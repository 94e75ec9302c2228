//! Compares the model's rules with the crate's decisions, for every record and request.

use session_auth_tests::fixtures::{NOW, agent, session};
use tower_session_auth::{
    ErrorKind, SigningKey, TokenVerifier,
    session::{
        IdempotencyKey, LastRenewal, ReplacedTokenPolicy, RetryHash, SessionRecord,
        decide::{self, MatchedToken, RenewalDecision},
    },
    token::{Claims, SessionToken, TokenSigner, VerifiedToken},
};

use super::rules::{Admitted, Decision, Key, Record, Rejection, Request, Rules, Token};

/// After half of the ttl, while the retry window and the overlap are open.
const SINCE: u64 = 55;
const TERM: u64 = 100;

/// Returns the number of compared pairs.
pub fn compare() -> usize {
    let real_session = RealSession::new();
    let mut count = 0;
    for record in records() {
        let real = real_session.record(&record);
        for token in tokens(3) {
            let verified = real_session.verify(token);
            let now = NOW.plus(SINCE);
            let admitted = decide::admit(&real, &verified, now).map_err(|rejection| rejection.kind);
            assert_eq!(
                admitted,
                Rules(None)
                    .admit(&record, token)
                    .map(admission)
                    .map_err(superseded),
                "{token:?} at {record:?}"
            );
            for key in [
                None,
                Some(Key::Reserved(0)),
                Some(Key::Reserved(1)),
                Some(Key::Attacker),
            ] {
                let sent = key.map(idempotency_key);
                let renewal = decide::renew(&real, &verified, sent.as_ref(), now);
                let decision = match renewal {
                    Ok(RenewalDecision::Replace(next)) => {
                        assert_eq!(next.claims.generation, u32::from(record.current.generation) + 1);
                        Ok(Decision::Swap { expected: token })
                    }
                    Ok(RenewalDecision::Repeat(claims)) => {
                        assert_eq!(claims.generation, u32::from(record.current.generation));
                        Ok(Decision::Repeat(record.current))
                    }
                    Ok(other) => panic!("{other:?}"),
                    Err(rejection) => Err(rejection.kind),
                };
                let expected = match Rules(None).decide(&record, Request { token, key }) {
                    Decision::Reject(rejection) => Err(mismatch(rejection)),
                    other => Ok(other),
                };
                assert_eq!(decision, expected, "{token:?} with {key:?} at {record:?}");
                count += 1;
            }
        }
    }
    count
}

/// Two tokens of each generation, minted by different servers or in different seconds.
fn tokens(last_generation: u8) -> impl Iterator<Item = Token> {
    (0..=last_generation).flat_map(|generation| (0..2).map(move |mint| Token { generation, mint }))
}

/// Every record that renewals can produce.
fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for current in tokens(2) {
        let before: Vec<_> = tokens(2)
            .filter(|token| token.generation + 1 == current.generation)
            .collect();
        let previous = std::iter::once(None).chain(before.iter().copied().map(Some));
        for previous in previous {
            let mut retries = vec![None];
            for &token in &before {
                for key in [Key::Reserved(0), Key::Attacker] {
                    retries.push(Some(Request {
                        token,
                        key: Some(key),
                    }));
                }
            }
            for retry in retries {
                for revoked in [false, true] {
                    records.push(Record {
                        current,
                        retry,
                        previous,
                        revoked,
                    });
                }
            }
        }
    }
    records
}

/// A session whose tokens are signed and verified by the crate.
struct RealSession {
    record: SessionRecord,
    signer: TokenSigner,
    verifier: TokenVerifier,
    replaced: ReplacedTokenPolicy,
}

impl RealSession {
    fn new() -> Self {
        let signer = TokenSigner::new(SigningKey::generate().unwrap());
        let mut replaced = ReplacedTokenPolicy::default();
        replaced.previous_token_overlap = replaced.retry_window;
        let mut record = session(agent(), NOW).record;
        record.ttl = TERM;
        Self {
            record,
            verifier: TokenVerifier::new(signer.verifying_keys()),
            signer,
            replaced,
        }
    }

    fn sign(&self, token: Token) -> SessionToken {
        let claims = Claims::new(
            self.record.id,
            self.record.agent_id,
            token.generation.into(),
            NOW,
            NOW.plus(TERM + u64::from(token.mint)),
        );
        self.signer.sign(&claims).unwrap()
    }

    fn verify(&self, token: Token) -> VerifiedToken {
        self.verifier.verify(self.sign(token).expose()).unwrap()
    }

    fn record(&self, record: &Record) -> SessionRecord {
        let current = self.sign(record.current).hash();
        let retry = record.retry.and_then(|retry| Some((retry.token, retry.key?)));
        let mut renewal = LastRenewal::new(NOW, record.current.generation.into(), self.replaced);
        renewal.previous_token_hash = record.previous.map(|token| self.sign(token).hash());
        renewal.retry_hash = retry
            .map(|(token, key)| RetryHash::of(&self.sign(token).hash(), &current, &idempotency_key(key)));
        let mut real = self.record.clone();
        real.token_hash = current;
        real.generation = record.current.generation.into();
        real.last_renewal = Some(renewal);
        real.revoked_at = record.revoked.then_some(NOW);
        real
    }
}

fn idempotency_key(key: Key) -> IdempotencyKey {
    format!("{key:?}-key").parse().unwrap()
}

fn admission(admitted: Admitted) -> MatchedToken {
    match admitted {
        Admitted::AsCurrent => MatchedToken::Current,
        Admitted::AsPrevious => MatchedToken::Previous,
    }
}

fn superseded(rejection: Rejection) -> ErrorKind {
    match rejection {
        Rejection::Mismatch => ErrorKind::TokenSuperseded,
        other => mismatch(other),
    }
}

fn mismatch(rejection: Rejection) -> ErrorKind {
    match rejection {
        Rejection::Revoked => ErrorKind::SessionRevoked,
        Rejection::StateLost => ErrorKind::SessionStateLost,
        Rejection::Mismatch => ErrorKind::SessionRenewalMismatch,
    }
}
