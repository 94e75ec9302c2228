//! A model of one record whose hash slot moves between two masters, each with its own cache: a real [`Shard`].
//!
//! A slot moves by `MIGRATE`, or by a failover. After a failover, the old master answers reads and pings until it is demoted. The process
//! learns of the new owner at any later time. It then publishes the new map, begins new epochs, and extends the lease of the map, in this
//! order, with lookups, revocations and further moves in between. Each mutant removes one safeguard, and the checker must find a violation.
//!
//! [`model`](super::model) covers lost connections, late requests and the epochs of agents. The real order of these steps is in
//! `cluster/discovery.rs` and `sessions.rs`.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::{Shard, Version};

/// The length of a cache's lease and of the map's lease, and of the whole run, in ticks.
const BOUND: u64 = 1;
const END: u64 = 1;
/// The longest sequence of events: without a limit, there are too many states for a test.
const DEPTH: usize = 14;

const PROPERTIES: [&str; 3] = [
    "a revoked session is admitted only within the bound",
    "a session that this process revoked is not admitted",
    "the owner of an earlier map answers no read of a revoked session",
];

/// Show that the model reaches these states.
const HIT_AFTER_MOVES: &str = "a record that was cached after two moves admits a request";
const OWN: &str = "an own revocation is answered after a move";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    /// New maps begin no epochs.
    NoEpochs,
    /// The epochs begin only of the master that lost the slot.
    NoEpochOfNewOwner,
    /// The lease of the map does not limit the leases of the caches.
    MapLeaseIgnored,
    /// The lease is extended with the views of a new map before it is published.
    LeaseBeforeMap,
    /// The owner is not checked after a read's version was taken.
    OwnerUncheckedBeforeRead,
    /// The owner is not checked when a read is answered.
    OwnerUncheckedAfterRead,
    /// An own change invalidates no record.
    OwnChangeIgnored,
    /// A map of the same owner in a later epoch is no new one.
    EpochOfOwnerIgnored,
}

struct World(Option<Mutant>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Owner,
    /// Replaced by a failover, which it does not know.
    Superseded,
    Replica,
    /// A master that does not have the slot.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Message {
    Pong,
    /// The answer to a read: true if the session is active.
    Value(bool),
    Push,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// The master is chosen, and nothing is sent.
    Routed(usize),
    Sent(usize, Version),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Own {
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
enum Update {
    None,
    /// A majority was asked at this time, and named this owner, after this many moves: each gives the owner a higher epoch.
    Seen(u64, usize, u8),
    /// The map is published, and the epochs have not begun.
    Published(u64),
}

#[derive(Clone)]
struct State {
    now: u64,
    shards: [Shard<u8, bool>; 2],
    /// Replies and pushes of each tracking connection.
    streams: [Vec<Message>; 2],
    /// When the ping was sent, and the epoch.
    pings: [Option<(u64, u64)>; 2],
    roles: [Role; 2],
    /// True if the session is active by the data of the master.
    active: [bool; 2],
    moves_left: u8,
    /// The owner by the published map, and the moves that were left then.
    map: usize,
    map_moves_left: u8,
    update: Update,
    map_lease: u64,
    read: Option<Read>,
    reads_left: u8,
    revoked_at: Option<u64>,
    own: Own,
    /// True if a read of a revoked session was answered by a master that did not have the slot by the map.
    answered_by_old_owner: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Tick,
    Ping(usize),
    Deliver(usize),
    Migrate,
    FailOver,
    Demote(usize),
    See,
    Publish,
    BeginEpochs,
    Confirm,
    Route,
    SendRead,
    RevokeElsewhere,
    RevokeHere,
    CheckOwner,
    AnswerOwn,
}

impl State {
    fn owner(&self) -> usize {
        usize::from(self.roles[1] == Role::Owner)
    }

    /// True if a cached record would admit a request now.
    fn admits(&self) -> bool {
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

impl World {
    fn is(&self, mutant: Mutant) -> bool {
        self.0 == Some(mutant)
    }

    fn deliver(&self, next: &mut State, place: usize) {
        match next.streams[place].remove(0) {
            Message::Push => next.shards[place].invalidate(&0),
            Message::Pong => {
                if let Some((sent, epoch)) = next.pings[place].take() {
                    let mut until = sent + BOUND;
                    if !self.is(Mutant::MapLeaseIgnored) {
                        until = until.min(next.map_lease);
                    }
                    next.shards[place].extend_lease(epoch, until);
                }
            }
            Message::Value(active) => {
                if let Some(Read::Sent(_, version)) = next.read.take() {
                    if active {
                        next.shards[place].insert(version, 0, Arc::new(true), next.now, END + 1);
                    }
                    let is_used = next.map == place || self.is(Mutant::OwnerUncheckedAfterRead);
                    next.answered_by_old_owner |=
                        is_used && active && next.revoked_at.is_some() && next.map != place;
                }
            }
        }
    }

    fn send_read(&self, next: &mut State) {
        let Some(Read::Routed(master)) = next.read.take() else {
            return;
        };
        let Some(version) = next.shards[master].version(next.now) else {
            return;
        };
        if next.map != master && !self.is(Mutant::OwnerUncheckedBeforeRead) {
            return;
        }
        // Another server answers with a redirection.
        if matches!(next.roles[master], Role::Owner | Role::Superseded) {
            next.read = Some(Read::Sent(master, version));
            next.streams[master].push(Message::Value(next.active[master]));
        }
    }

    fn begin_epochs(&self, next: &mut State) {
        let got_slot = next.map;
        for (place, shard) in next.shards.iter_mut().enumerate() {
            let skipped =
                self.is(Mutant::NoEpochs) || (self.is(Mutant::NoEpochOfNewOwner) && place == got_slot);
            if !skipped {
                shard.begin_epoch(shard.epoch + 1);
            }
        }
    }
}

/// Revokes the session on the owner, and on the replica that follows it.
fn revoke(next: &mut State) {
    next.revoked_at = Some(next.now);
    for place in 0..2 {
        if matches!(next.roles[place], Role::Owner | Role::Replica) {
            next.active[place] = false;
            next.streams[place].push(Message::Push);
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Event;

    /// The record is cached. The other server is a master, or the replica of the owner.
    fn init_states(&self) -> Vec<State> {
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
                State {
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

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        if state.now < END {
            events.push(Event::Tick);
        }
        for place in 0..2 {
            // Pings of the other master would only multiply the states: its lease is that of the start.
            if place == 0 && state.pings[place].is_none() && state.roles[place] != Role::Replica {
                events.push(Event::Ping(place));
            }
            if !state.streams[place].is_empty() {
                events.push(Event::Deliver(place));
            }
            if state.roles[place] == Role::Superseded {
                events.push(Event::Demote(place));
            }
        }
        if state.moves_left > 0 {
            match state.roles[1 - state.owner()] {
                Role::Other => events.push(Event::Migrate),
                Role::Replica => events.push(Event::FailOver),
                Role::Owner | Role::Superseded => {}
            }
        }
        match state.update {
            // A map of the same owner in a later epoch is a new one.
            Update::None if state.map_moves_left == state.moves_left => events.push(Event::Confirm),
            Update::None if self.is(Mutant::EpochOfOwnerIgnored) && state.map == state.owner() => {
                events.push(Event::Confirm);
            }
            Update::None => events.push(Event::See),
            Update::Seen(..) => events.push(Event::Publish),
            Update::Published(_) => events.push(Event::BeginEpochs),
        }
        match state.read {
            None if state.reads_left > 0 => events.push(Event::Route),
            Some(Read::Routed(_)) => events.push(Event::SendRead),
            None | Some(Read::Sent(..)) => {}
        }
        if state.revoked_at.is_none() {
            events.push(Event::RevokeElsewhere);
            // A revocation that a superseded master acknowledges is lost: no cache can help.
            if state.map == state.owner() && state.now < state.map_lease {
                events.push(Event::RevokeHere);
            }
        }
        match state.own {
            Own::Executed(_) => events.push(Event::CheckOwner),
            Own::Checked => events.push(Event::AnswerOwn),
            Own::No | Own::Answered => {}
        }
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        let mut next = state.clone();
        let owner = state.owner();
        match event {
            Event::Tick => next.now += 1,
            Event::Ping(place) => {
                next.pings[place] = Some((next.now, next.shards[place].epoch));
                next.streams[place].push(Message::Pong);
            }
            Event::Deliver(place) => self.deliver(&mut next, place),
            Event::Migrate | Event::FailOver => {
                next.moves_left -= 1;
                next.roles[1 - owner] = Role::Owner;
                if event == Event::Migrate {
                    next.roles[owner] = Role::Other;
                    next.active[1 - owner] = next.active[owner];
                    next.streams
                        .iter_mut()
                        .for_each(|stream| stream.push(Message::Push));
                } else {
                    next.roles[owner] = Role::Superseded;
                }
            }
            Event::Demote(place) => {
                // It copies the data of the owner, and pushes that all keys changed.
                next.roles[place] = Role::Replica;
                next.active[place] = next.active[owner];
                next.streams[place].push(Message::Push);
            }
            Event::See => {
                next.update = Update::Seen(next.now, owner, next.moves_left);
                if self.is(Mutant::LeaseBeforeMap) {
                    next.map_lease = next.map_lease.max(next.now + BOUND);
                }
            }
            Event::Publish => {
                if let Update::Seen(sent, seen, moves_left) = next.update {
                    next.map = seen;
                    next.map_moves_left = moves_left;
                    next.update = Update::Published(sent);
                }
            }
            Event::BeginEpochs => {
                self.begin_epochs(&mut next);
                if let Update::Published(sent) = next.update {
                    next.map_lease = next.map_lease.max(sent + BOUND);
                }
                next.update = Update::None;
            }
            Event::Confirm => next.map_lease = next.map_lease.max(next.now + BOUND),
            Event::Route => {
                next.reads_left -= 1;
                next.read = Some(Read::Routed(next.map));
            }
            Event::SendRead => self.send_read(&mut next),
            Event::RevokeElsewhere => revoke(&mut next),
            Event::RevokeHere => {
                next.own = Own::Executed(owner);
                revoke(&mut next);
            }
            Event::CheckOwner => {
                let Own::Executed(master) = next.own else {
                    return None;
                };
                // Else the caller gets an error.
                next.own = if next.map == master { Own::Checked } else { Own::No };
            }
            Event::AnswerOwn => {
                next.own = Own::Answered;
                let map = next.map;
                if !self.is(Mutant::OwnChangeIgnored) {
                    next.shards[map].invalidate(&0);
                }
            }
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(PROPERTIES[0], |_, state: &State| {
                !state.admits() || state.revoked_at.is_none_or(|at| state.now < at + BOUND)
            }),
            Property::always(PROPERTIES[1], |_, state: &State| {
                !(state.own == Own::Answered && state.admits())
            }),
            Property::always(PROPERTIES[2], |_, state: &State| !state.answered_by_old_owner),
            Property::sometimes(HIT_AFTER_MOVES, |_, state: &State| {
                state.moves_left == 0 && state.map == 0 && state.update == Update::None && state.admits()
            }),
            Property::sometimes(OWN, |_, state: &State| {
                state.own == Own::Answered && state.map == 1
            }),
        ]
    }
}

#[test]
fn slot_that_moves_admits_a_revoked_session_only_within_the_bound() {
    let checker = World(None).checker().threads(2).target_max_depth(DEPTH);
    let checker = checker.spawn_bfs().join();
    // A longer sequence than these is not examined.
    for property in PROPERTIES {
        checker.assert_no_discovery(property);
    }
}

#[test]
fn model_of_moves_finds_a_violation_if_any_safeguard_is_removed() {
    for mutant in [
        Mutant::NoEpochs,
        Mutant::NoEpochOfNewOwner,
        Mutant::MapLeaseIgnored,
        Mutant::LeaseBeforeMap,
        Mutant::OwnerUncheckedBeforeRead,
        Mutant::OwnerUncheckedAfterRead,
        Mutant::OwnChangeIgnored,
        Mutant::EpochOfOwnerIgnored,
    ] {
        let failure = HasDiscoveries::AnyFailures;
        let checker = World(Some(mutant))
            .checker()
            .finish_when(failure)
            .spawn_bfs()
            .join();
        let found = checker
            .discoveries()
            .keys()
            .any(|name| ![HIT_AFTER_MOVES, OWN].contains(name));
        assert!(found, "{mutant:?} is not detected");
    }
}
