//! The state of the model: both masters, and the process.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{
    super::{Shard, Version},
    BOUND, END,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Owner,
    /// Replaced by a failover, which it does not know.
    Superseded,
    Replica,
    /// A master that does not have the slot.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Message {
    Pong,
    /// The answer to a read: true if the session is active.
    Value(bool),
    Push,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// The master is chosen, and nothing is sent.
    Routed(usize),
    Sent(usize, Version),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Own {
    No,
    /// The master has executed the revocation.
    Executed(usize),
    /// The owner was checked after the reply.
    Checked,
    /// The record was invalidated.
    Answered,
}

/// The steps of the process when a view shows a new owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Update {
    None,
    /// A majority was asked at this time, and named this owner, after this many moves: each gives the owner a higher epoch.
    Seen(u64, usize, u8),
    /// The map is published, and the epochs have not begun.
    Published(u64),
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) now: u64,
    pub(super) shards: [Shard<u8, bool>; 2],
    /// Replies and pushes of each tracking connection.
    pub(super) streams: [Vec<Message>; 2],
    /// When the ping was sent, and the epoch.
    pub(super) pings: [Option<(u64, u64)>; 2],
    pub(super) roles: [Role; 2],
    /// True if the session is active by the data of the master.
    pub(super) active: [bool; 2],
    pub(super) moves_left: u8,
    /// The owner by the published map, and the moves that were left then.
    pub(super) map: usize,
    pub(super) map_moves_left: u8,
    pub(super) update: Update,
    pub(super) map_lease: u64,
    pub(super) read: Option<Read>,
    pub(super) reads_left: u8,
    pub(super) revoked_at: Option<u64>,
    pub(super) own: Own,
    /// True if a read of a revoked session was answered by a master that did not have the slot by the map.
    pub(super) answered_by_old_owner: bool,
}

impl State {
    /// The record is cached. The other server is a master, or the replica of the owner.
    pub(super) fn initial() -> Vec<Self> {
        [Role::Other, Role::Replica]
            .map(|other| {
                let mut shards = [Shard::new(8), Shard::new(8)];
                for (shard, lease) in shards.iter_mut().zip([true, other == Role::Other]) {
                    shard.begin_epoch(1);
                    shard.extend_lease(1, if lease { BOUND } else { 0 });
                }
                if let Some(version) = shards[0].version(0) {
                    shards[0].insert(version, 0, Arc::new(true), 0, END + 1);
                }
                Self {
                    now: 0,
                    shards,
                    streams: [Vec::new(), Vec::new()],
                    pings: [None, None],
                    roles: [Role::Owner, other],
                    active: [true, other == Role::Replica],
                    moves_left: 2,
                    map: 0,
                    map_moves_left: 2,
                    update: Update::None,
                    map_lease: BOUND,
                    read: None,
                    reads_left: 1,
                    revoked_at: None,
                    own: Own::No,
                    answered_by_old_owner: false,
                }
            })
            .to_vec()
    }

    pub(super) fn owner(&self) -> usize {
        usize::from(self.roles[1] == Role::Owner)
    }

    /// True if a cached record would admit a request now.
    pub(super) fn admits(&self) -> bool {
        let mut shard = self.shards[self.map].clone();
        shard.get(&0, self.now).is_some_and(|active| *active)
    }

    /// All that decides about later states. Times are relative, and epochs and generations count only as far as they are the latest.
    fn view(&self) -> impl Hash + Eq + use<> {
        let left = |until: u64| until.saturating_sub(self.now);
        let age = |time: u64| (self.now - time).min(BOUND);
        let caches = [0, 1].map(|place| {
            let shard = &self.shards[place];
            let ping = self.pings[place].map(|(sent, epoch)| (age(sent), epoch == shard.epoch));
            (left(shard.lease_until), shard.len(), ping)
        });
        let read = self.read.map(|read| match read {
            Read::Routed(master) => (master, None),
            Read::Sent(master, version) => {
                let shard = &self.shards[master];
                let is_valid =
                    version.epoch == shard.epoch && !shard.may_be_invalidated(&0, version.generation);
                (master, Some(is_valid))
            }
        });
        let update = match self.update {
            Update::None => (0, 0, 0),
            Update::Seen(sent, owner, moves_left) => (1, age(sent), owner + 2 * usize::from(moves_left)),
            Update::Published(sent) => (2, age(sent), 0),
        };
        (
            (self.now, caches, self.streams.clone(), self.roles, self.active),
            (
                (self.moves_left, self.map_moves_left),
                self.map,
                update,
                left(self.map_lease),
                read,
                self.reads_left,
            ),
            (self.revoked_at.map(age), self.own, self.answered_by_old_owner),
        )
    }
}

compare_by_view!(State);

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("now", &self.now)
            .field("roles", &self.roles)
            .field("streams", &self.streams)
            .field("map", &self.map)
            .field("update", &self.update)
            .field("read", &self.read)
            .field("revoked_at", &self.revoked_at)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}
