//! The server's rules: who is admitted, how a renewal is decided, and what the script does.

use super::Mutation;

/// A bearer token. Signing is deterministic: equal claims are the same token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    pub generation: u8,
    /// Tells tokens of one generation apart: another server or another second minted them.
    pub mint: u8,
}

/// An idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Reserved by a worker in the shared storage.
    Reserved(u8),
    /// A stranger's, who never sees the workers' keys.
    Stranger,
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
    /// The token before, while the overlap is open.
    pub previous: Option<Token>,
    pub revoked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    Revoked,
    StateLost,
    /// `Superseded`, when the API is used.
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
    /// A new token is minted, and the script asked to put it in the place of the expected one.
    Swap {
        expected: Token,
    },
    /// The renewal was done before: the current token is signed again.
    Repeat(Token),
    Refuse(Refusal),
}

/// A call of the script, which may run long after its caller gave up.
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
    pub fn admit(self, record: &Record, token: Token) -> Result<Admitted, Refusal> {
        let previous = record.previous == Some(token);
        if record.revoked && !(previous && self.has(Mutation::AdmitPreviousWhenRevoked)) {
            return Err(Refusal::Revoked);
        }
        if token == record.current {
            return Ok(Admitted::AsCurrent);
        }
        if previous {
            return Ok(Admitted::AsPrevious);
        }
        if token.generation > record.current.generation {
            return if self.has(Mutation::AdmitAhead) {
                Ok(Admitted::AsCurrent)
            } else {
                Err(Refusal::StateLost)
            };
        }
        Err(Refusal::Mismatch)
    }

    /// The first step of a renewal, on a record that was just read.
    pub fn decide(self, record: &Record, request: Request) -> Decision {
        let done_before = self.done_before(record, request);
        if record.revoked && !(done_before && self.has(Mutation::RepeatWhenRevoked)) {
            return Decision::Refuse(Refusal::Revoked);
        }
        let renewable = request.token == record.current
            || record.previous == Some(request.token) && self.has(Mutation::RenewPrevious)
            || done_before && self.has(Mutation::RepeatWithFreshToken);
        if renewable {
            return Decision::Swap {
                expected: record.current,
            };
        }
        if done_before {
            return Decision::Repeat(record.current);
        }
        if request.token.generation > record.current.generation {
            return if self.has(Mutation::RenewAhead) {
                Decision::Swap {
                    expected: record.current,
                }
            } else {
                Decision::Refuse(Refusal::StateLost)
            };
        }
        Decision::Refuse(Refusal::Mismatch)
    }

    /// The second step: the script, which is atomic, and what the server makes of its reply.
    pub fn run(self, record: &mut Record, script: Script) -> Result<Token, Refusal> {
        if record.revoked && !self.has(Mutation::SwapWhenRevoked) {
            return Err(Refusal::Revoked);
        }
        if record.current != script.expected && !self.has(Mutation::SwapWithoutComparing) {
            return if self.done_before(record, script.request) && !self.has(Mutation::ForgetRetryInScript) {
                Ok(record.current)
            } else {
                Err(Refusal::Mismatch)
            };
        }
        let old = record.current;
        record.current = script.next;
        if script.request.key.is_some() || !self.has(Mutation::KeepRetryWithoutKey) {
            record.retry = script.request.key.map(|_| script.request);
        }
        if record.previous.is_none() || !self.has(Mutation::KeepOlderPrevious) {
            record.previous = Some(old);
        }
        Ok(script.next)
    }

    /// An administrator's rotation: the tokens before it are taken for stolen.
    pub fn rotate(self, record: &mut Record, next: Token) {
        record.previous = self.has(Mutation::RotateWithOverlap).then_some(record.current);
        if !self.has(Mutation::RotateKeepingRetry) {
            record.retry = None;
        }
        record.current = next;
    }

    pub fn has(self, mutation: Mutation) -> bool {
        self.0 == Some(mutation)
    }

    fn done_before(self, record: &Record, request: Request) -> bool {
        record.retry.is_some_and(|retry| {
            retry.token == request.token && (retry.key == request.key || self.has(Mutation::RepeatToAnyKey))
        })
    }
}
