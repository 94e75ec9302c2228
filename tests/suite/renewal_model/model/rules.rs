//! The server's rules: admission, the renewal decision, and the script.

use super::Mutation;

/// A bearer token. Signing is deterministic: equal claims are the same token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    pub generation: u8,
    /// Distinguishes tokens of one generation, issued by different servers or in different seconds.
    pub mint: u8,
}

/// An idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Reserved by a worker in the shared storage.
    Reserved(u8),
    /// An attacker's own key. It never sees the workers' keys.
    Attacker,
}

/// A request to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    pub token: Token,
    pub key: Option<Key>,
}

/// The session in the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    pub current: Token,
    /// The request that made the current token, while its retry window is open.
    pub retry: Option<Request>,
    /// The previous token, while the overlap is open.
    pub previous: Option<Token>,
    pub revoked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    Revoked,
    StateLost,
    /// An API request gets `TokenSuperseded`, a renewal `SessionRenewalMismatch`.
    Mismatch,
}

/// How a token may use the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    AsCurrent,
    AsPrevious,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A new token is issued, and the script must replace the expected one.
    Swap {
        expected: Token,
    },
    /// The renewal was done before, so the current token is signed again.
    Repeat(Token),
    Reject(Rejection),
}

/// A call of the script. It may run long after its caller gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Script {
    pub request: Request,
    pub expected: Token,
    pub next: Token,
}

/// The rules, with at most one of them broken.
#[derive(Debug, Clone, Copy)]
pub struct Rules(pub Option<Mutation>);

impl Rules {
    pub fn admit(self, record: &Record, token: Token) -> Result<Admitted, Rejection> {
        let previous = record.previous == Some(token);
        if record.revoked && !(previous && self.breaks(Mutation::AdmitPreviousWhenRevoked)) {
            return Err(Rejection::Revoked);
        }
        if token == record.current {
            return Ok(Admitted::AsCurrent);
        }
        if previous {
            return Ok(Admitted::AsPrevious);
        }
        if token.generation > record.current.generation {
            return if self.breaks(Mutation::AdmitAhead) {
                Ok(Admitted::AsCurrent)
            } else {
                Err(Rejection::StateLost)
            };
        }
        Err(Rejection::Mismatch)
    }

    /// The first step of a renewal, on a record that was just read.
    pub fn decide(self, record: &Record, request: Request) -> Decision {
        let done_before = self.done_before(record, request);
        if record.revoked && !(done_before && self.breaks(Mutation::RepeatWhenRevoked)) {
            return Decision::Reject(Rejection::Revoked);
        }
        let renewable = request.token == record.current
            || record.previous == Some(request.token) && self.breaks(Mutation::RenewPrevious)
            || done_before && self.breaks(Mutation::RepeatWithFreshToken);
        if renewable {
            return Decision::Swap {
                expected: record.current,
            };
        }
        if done_before {
            return Decision::Repeat(record.current);
        }
        if request.token.generation > record.current.generation {
            return if self.breaks(Mutation::RenewAhead) {
                Decision::Swap {
                    expected: record.current,
                }
            } else {
                Decision::Reject(Rejection::StateLost)
            };
        }
        Decision::Reject(Rejection::Mismatch)
    }

    /// The second step: the atomic script, and the server's use of its reply.
    pub fn run(self, record: &mut Record, script: Script) -> Result<Token, Rejection> {
        if record.revoked && !self.breaks(Mutation::SwapWhenRevoked) {
            return Err(Rejection::Revoked);
        }
        if record.current != script.expected && !self.breaks(Mutation::SwapWithoutComparing) {
            return if self.done_before(record, script.request) && !self.breaks(Mutation::ForgetRetryInScript)
            {
                Ok(record.current)
            } else {
                Err(Rejection::Mismatch)
            };
        }
        let old = record.current;
        record.current = script.next;
        if script.request.key.is_some() || !self.breaks(Mutation::KeepRetryWithoutKey) {
            record.retry = script.request.key.map(|_| script.request);
        }
        if record.previous.is_none() || !self.breaks(Mutation::KeepOlderPreviousHash) {
            record.previous = Some(old);
        }
        Ok(script.next)
    }

    /// An administrator's rotation. Every earlier token counts as stolen.
    pub fn rotate(self, record: &mut Record, next: Token) {
        record.previous = self.breaks(Mutation::RotateWithOverlap).then_some(record.current);
        if !self.breaks(Mutation::RotateKeepingRetry) {
            record.retry = None;
        }
        record.current = next;
    }

    pub fn breaks(self, mutation: Mutation) -> bool {
        self.0 == Some(mutation)
    }

    fn done_before(self, record: &Record, request: Request) -> bool {
        record.retry.is_some_and(|retry| {
            retry.token == request.token
                && (retry.key == request.key || self.breaks(Mutation::RepeatForAnyKey))
        })
    }
}
