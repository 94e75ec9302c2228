//! The state of the model.

use std::collections::BTreeSet;

use super::rules::{Key, Record, Rejection, Request, Script, Token};

/// One session, its store, the agent's workers, and the messages between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub record: Record,
    /// The record before its last write, while that write can be lost.
    pub before: Option<Record>,
    pub write_lost: bool,
    pub storage: Storage,
    /// The requests whose replies the workers wait for. A renewal depends on nothing else in a worker's memory.
    pub workers: [Option<Request>; 2],
    pub network: Network,
    pub history: History,
}

/// The storage that the workers share, and that survives a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Storage {
    pub token: Token,
    /// The key reserved for this token's renewal.
    pub pending: Option<Key>,
}

/// The messages that were sent. Each may arrive at any time, repeatedly, or never. So a retry adds nothing, and a loss, a delay
/// or a 503 is a message that does not arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Network {
    pub requests: BTreeSet<Request>,
    /// Scripts that have not run yet. Each runs at most once.
    pub scripts: BTreeSet<Script>,
    pub replies: BTreeSet<Reply>,
}

/// A reply, for every worker that waits for a reply to this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reply {
    pub request: Request,
    pub outcome: Result<Token, Rejection>,
}

/// The history, for the properties only: no rule reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// The tokens in replies, whether or not they arrived.
    pub answers: BTreeSet<(Request, Token)>,
    /// A revocation was acknowledged.
    pub revoked: bool,
    pub renewed_after_revocation: bool,
    /// The token of an administrator's rotation.
    pub rotated: Option<Token>,
    /// The number of keys that the workers reserved.
    pub keys: u8,
}

const FIRST: Token = Token {
    generation: 0,
    mint: 0,
};

impl State {
    pub fn first() -> Self {
        Self {
            record: Record {
                current: FIRST,
                retry: None,
                previous: None,
                revoked: false,
            },
            before: None,
            write_lost: false,
            storage: Storage {
                token: FIRST,
                pending: None,
            },
            workers: [None; 2],
            network: Network::default(),
            history: History::default(),
        }
    }

    /// The tokens that anyone may have.
    pub fn issued_tokens(&self) -> impl Iterator<Item = Token> {
        let answered = self.history.answers.iter().map(|(_, token)| *token);
        [FIRST].into_iter().chain(answered).chain(self.history.rotated)
    }

    /// A token that does not exist yet.
    pub fn mint(&self, generation: u8) -> Token {
        let minted = |token| {
            self.issued_tokens().any(|issued_tokens| issued_tokens == token)
                || self.network.scripts.iter().any(|script| script.next == token)
        };
        (0..)
            .map(|mint| Token { generation, mint })
            .find(|token| !minted(*token))
            .expect("a number that is not used")
    }

    pub fn answer(&mut self, request: Request, outcome: Result<Token, Rejection>) {
        if let Ok(token) = outcome {
            self.history.answers.insert((request, token));
            self.history.renewed_after_revocation |= self.history.revoked;
        }
        self.network.replies.insert(Reply { request, outcome });
    }

    /// Makes equivalent states equal: workers are interchangeable, and a reply that no worker waits for is dropped.
    pub fn settle(&mut self) {
        self.workers.sort_unstable();
        let workers = self.workers;
        self.network
            .replies
            .retain(|reply| workers.contains(&Some(reply.request)));
    }
}
