//! The state of the model: the shard, the tracking connection, and the record.

use std::hash::{Hash, Hasher};

use super::{
    super::{Shard, Version},
    BOUND, READS,
};

#[derive(Clone)]
pub(super) struct State {
    pub(super) now: u64,
    pub(super) shard: Shard<u8, bool>,
    pub(super) connected: bool,
    pub(super) requests: Vec<Request>,
    pub(super) stream: Vec<Message>,
    pub(super) ping: Option<Ping>,
    pub(super) reads: Vec<Read>,
    pub(super) reads_left: u8,
    pub(super) losses_left: u8,
    pub(super) revoked_at: Option<u64>,
    /// True if this process revoked the session itself.
    pub(super) own: bool,
    /// True if the session was revoked with its agent, by the agent's epoch.
    pub(super) by_epoch: bool,
    /// True if that revocation was answered.
    pub(super) own_answered: bool,
    /// True if a ping of the current epoch was answered.
    pub(super) confirmed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Ping,
    Get(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Message {
    Pong,
    /// The read's name, and whether the session is active.
    Value(u8, bool),
    Push,
    /// The push of the epochs of the session's bucket.
    EpochPush,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ping {
    pub(super) sent: u64,
    pub(super) epoch: u64,
    pub(super) answered: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) name: u8,
    pub(super) version: Version,
    pub(super) active: Option<bool>,
}

impl State {
    pub(super) fn initial() -> Vec<Self> {
        let mut shard = Shard::new(8);
        shard.begin_epoch(1);
        vec![Self {
            now: 1,
            shard,
            connected: true,
            requests: Vec::new(),
            stream: Vec::new(),
            ping: None,
            reads: Vec::new(),
            reads_left: READS,
            losses_left: 1,
            revoked_at: None,
            own: false,
            by_epoch: false,
            own_answered: false,
            confirmed: false,
        }]
    }

    /// All that decides about later states. Times are relative, and epochs and generations count only as far as they are the latest.
    fn view(&self) -> impl Hash + Eq + use<> {
        let shard = &self.shard;
        let age = |time: u64| (self.now - time).min(BOUND);
        let ping = self.ping.map(|ping| {
            let answered = ping.answered.map(age);
            (age(ping.sent), ping.epoch == shard.epoch, answered)
        });
        let reads: Vec<_> = self
            .reads
            .iter()
            .map(|read| {
                let version = read.version;
                let is_of_epoch = version.epoch == shard.epoch;
                let is_invalidated = shard.may_be_invalidated(&0, version.generation);
                (read.name, is_of_epoch, is_invalidated, read.active)
            })
            .collect();
        (
            (self.now, shard.lease_until.saturating_sub(self.now), shard.len()),
            (
                self.connected,
                self.requests.clone(),
                self.stream.clone(),
                ping,
                reads,
            ),
            (
                self.reads_left,
                self.losses_left,
                self.revoked_at.map(age),
                self.own,
                self.by_epoch,
                self.own_answered,
                self.confirmed,
            ),
        )
    }

    /// True if a cached record would admit a request now.
    pub(super) fn admits(&self) -> bool {
        self.shard.clone().get(&0, self.now).is_some_and(|active| *active)
    }
}

compare_by_view!(State);

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("now", &self.now)
            .field("stream", &self.stream)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}
