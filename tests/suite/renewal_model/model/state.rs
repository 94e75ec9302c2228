//! What the model's world consists of.

use std::collections::BTreeSet;

use super::rules::{Key, Record, Refusal, Request, Script, Token};

/// One session, its store, its agent's workers, and what is on its way between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub record: Record,
    /// The record before its last write, while that write can be lost.
    pub before: Option<Record>,
    pub write_lost: bool,
    pub storage: Storage,
    /// The requests that the workers wait for. Nothing else in a worker's memory matters to a renewal.
    pub workers: [Option<Request>; 2],
    pub network: Network,
    pub history: History,
}

/// What the workers share, and what is left of them after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Storage {
    pub token: Token,
    /// The key reserved for this token's renewal.
    pub pending: Option<Key>,
}

/// What was sent may arrive at any time, any number of times, or never: so sending it again changes nothing,
/// and a loss, a delay or a 503 is an arrival that does not come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Network {
    pub requests: BTreeSet<Request>,
    /// Scripts that were sent and have not run; each runs at most once.
    pub scripts: BTreeSet<Script>,
    pub replies: BTreeSet<Reply>,
}

/// An answer, to whoever waits for one to these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reply {
    pub request: Request,
    pub outcome: Result<Token, Refusal>,
}

/// What happened, for the properties alone: no rule reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// The tokens that requests were answered with, whether or not the answer arrived.
    pub answers: BTreeSet<(Request, Token)>,
    /// A revocation was acknowledged.
    pub revoked: bool,
    pub renewed_after_revocation: bool,
    /// The token of an administrator's rotation.
    pub rotated: Option<Token>,
    /// How many keys the workers reserved.
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

    /// The tokens that anybody may have.
    pub fn handed_out(&self) -> impl Iterator<Item = Token> {
        let answered = self.history.answers.iter().map(|(_, token)| *token);
        [FIRST].into_iter().chain(answered).chain(self.history.rotated)
    }

    /// A token that never was.
    pub fn mint(&self, generation: u8) -> Token {
        let minted = |token| {
            self.handed_out().any(|handed_out| handed_out == token)
                || self.network.scripts.iter().any(|script| script.next == token)
        };
        (0..)
            .map(|mint| Token { generation, mint })
            .find(|token| !minted(*token))
            .expect("there are always more")
    }

    pub fn answer(&mut self, request: Request, outcome: Result<Token, Refusal>) {
        if let Ok(token) = outcome {
            self.history.answers.insert((request, token));
            self.history.renewed_after_revocation |= self.history.revoked;
        }
        self.network.replies.insert(Reply { request, outcome });
    }

    /// Makes states equal that differ in nothing that matters: the workers are alike, and a connection that
    /// nobody waits on is closed.
    pub fn settle(&mut self) {
        self.workers.sort_unstable();
        let workers = self.workers;
        self.network
            .replies
            .retain(|reply| workers.contains(&Some(reply.request)));
    }
}
