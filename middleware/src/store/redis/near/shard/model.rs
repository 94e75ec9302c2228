//! A model of one record that checks every order of events (reads, pushes, pings, losses and revocations) over the real [`Shard`].
//!
//! A tracking connection carries requests one way, and replies and pushes the other way. Each direction keeps its order and may delay
//! messages. A delivered message is processed at any later time, as tasks are. Each mutant removes one safeguard, and the checker must
//! find a violation.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::{Shard, Version};

/// The length of a lease, and of the whole run, in ticks.
const BOUND: u64 = 2;
const END: u64 = 4;
const READS: u8 = 2;

/// Shows that the model reaches cache hits.
const USED: &str = "a cached record admits a request";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    InsertWithoutGeneration,
    InsertWithoutEpoch,
    VersionTakenAfterRead,
    ExtendWithoutEpoch,
    LeaseFromReply,
    InvalidationIgnored,
    EpochPushIgnored,
    EpochPushKeepsReads,
    LossIgnored,
    OwnChangeIgnored,
    OwnEpochIgnored,
}

struct World(Option<Mutant>);

#[derive(Clone)]
struct State {
    now: u64,
    shard: Shard<u8, bool>,
    connected: bool,
    requests: Vec<Request>,
    stream: Vec<Message>,
    ping: Option<Ping>,
    reads: Vec<Read>,
    reads_left: u8,
    losses_left: u8,
    revoked_at: Option<u64>,
    /// True if this process revoked the session itself.
    own: bool,
    /// True if the session was revoked with its agent, by the agent's epoch.
    by_epoch: bool,
    /// True if that revocation was answered.
    own_answered: bool,
    /// True if a ping of the current epoch was answered.
    confirmed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Request {
    Ping,
    Get(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Message {
    Pong,
    /// The read's name, and whether the session is active.
    Value(u8, bool),
    Push,
    /// The push of the epochs of the session's bucket.
    EpochPush,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Ping {
    sent: u64,
    epoch: u64,
    answered: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    name: u8,
    version: Version,
    active: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Tick,
    SendPing,
    SendRead,
    Serve,
    Deliver,
    Extend,
    Insert(usize),
    Lose,
    Reconnect,
    RevokeElsewhere,
    RevokeHere,
    RevokeAgentElsewhere,
    RevokeAgentHere,
    OwnAnswered,
}

impl State {
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
    fn admits(&self) -> bool {
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

impl Model for World {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let mut shard = Shard::new(8);
        shard.begin_epoch(1);
        vec![State {
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

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        if state.now < END {
            events.push(Event::Tick);
        }
        if state.connected {
            if state.ping.is_none() {
                events.push(Event::SendPing);
            }
            if state.reads_left > 0 && state.shard.version(state.now).is_some() {
                events.push(Event::SendRead);
            }
            if !state.requests.is_empty() {
                events.push(Event::Serve);
            }
            if !state.stream.is_empty() {
                events.push(Event::Deliver);
            }
            if state.losses_left > 0 {
                events.push(Event::Lose);
            }
        } else {
            events.push(Event::Reconnect);
        }
        if state.ping.is_some_and(|ping| ping.answered.is_some()) {
            events.push(Event::Extend);
        }
        let answered = |(_, read): &(usize, &Read)| read.active.is_some();
        let inserts = state.reads.iter().enumerate().filter(answered);
        events.extend(inserts.map(|(place, _)| Event::Insert(place)));
        match state.revoked_at {
            None => events.extend([
                Event::RevokeElsewhere,
                Event::RevokeHere,
                Event::RevokeAgentElsewhere,
                Event::RevokeAgentHere,
            ]),
            Some(_) if state.own && !state.own_answered => events.push(Event::OwnAnswered),
            Some(_) => {}
        }
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        let mut next = state.clone();
        let is = |mutant| self.0 == Some(mutant);
        match event {
            Event::Tick => next.now += 1,
            Event::SendPing => {
                next.requests.push(Request::Ping);
                next.ping = Some(Ping {
                    sent: next.now,
                    epoch: next.shard.epoch,
                    answered: None,
                });
            }
            Event::SendRead => {
                next.reads_left -= 1;
                next.requests.push(Request::Get(next.reads_left));
                next.reads.push(Read {
                    name: next.reads_left,
                    version: next.shard.version(next.now)?,
                    active: None,
                });
            }
            Event::Serve => next.stream.push(match next.requests.remove(0) {
                Request::Ping => Message::Pong,
                Request::Get(read) => Message::Value(read, next.revoked_at.is_none()),
            }),
            Event::Deliver => match next.stream.remove(0) {
                Message::Pong => {
                    if let Some(ping) = &mut next.ping {
                        ping.answered = Some(next.now);
                    }
                }
                Message::Value(name, active) => {
                    for read in next.reads.iter_mut().filter(|read| read.name == name) {
                        read.active = Some(active);
                    }
                }
                Message::Push if is(Mutant::InvalidationIgnored) => {}
                Message::Push => next.shard.invalidate(&0),
                Message::EpochPush if is(Mutant::EpochPushIgnored) => {}
                Message::EpochPush if is(Mutant::EpochPushKeepsReads) => next.shard.entries.clear(),
                Message::EpochPush => next.shard.invalidate_all(),
            },
            Event::Extend => {
                let ping = next.ping.take()?;
                let epoch = if is(Mutant::ExtendWithoutEpoch) {
                    next.shard.epoch
                } else {
                    ping.epoch
                };
                let from = if is(Mutant::LeaseFromReply) {
                    ping.answered?
                } else {
                    ping.sent
                };
                next.shard.extend_lease(epoch, from + BOUND);
                next.confirmed |= ping.epoch == next.shard.epoch;
            }
            Event::Insert(place) => {
                let read = next.reads.remove(place);
                let mut version = read.version;
                if is(Mutant::InsertWithoutGeneration) {
                    version.generation = next.shard.generation;
                }
                if is(Mutant::InsertWithoutEpoch) {
                    version.epoch = next.shard.epoch;
                }
                if is(Mutant::VersionTakenAfterRead) {
                    version = next.shard.version(next.now)?;
                }
                // Revoked and missing sessions are not cached.
                if read.active? {
                    next.shard.insert(version, 0, Arc::new(true), next.now, END + 1);
                }
            }
            Event::Lose => {
                next.confirmed = false;
                next.losses_left -= 1;
                next.connected = false;
                next.requests.clear();
                next.stream.clear();
                next.ping = next.ping.filter(|ping| ping.answered.is_some());
                next.reads.retain(|read| read.active.is_some());
                if !is(Mutant::LossIgnored) {
                    next.shard.begin_epoch(next.shard.epoch + 1);
                }
            }
            Event::Reconnect => {
                next.confirmed = false;
                next.connected = true;
                if !is(Mutant::LossIgnored) {
                    next.shard.begin_epoch(next.shard.epoch + 1);
                }
            }
            Event::RevokeElsewhere
            | Event::RevokeHere
            | Event::RevokeAgentElsewhere
            | Event::RevokeAgentHere => {
                next.revoked_at = Some(next.now);
                next.own = matches!(event, Event::RevokeHere | Event::RevokeAgentHere);
                next.by_epoch = matches!(event, Event::RevokeAgentElsewhere | Event::RevokeAgentHere);
                if next.connected {
                    // The index has lost the session: its record does not change.
                    next.stream.push(if next.by_epoch {
                        Message::EpochPush
                    } else {
                        Message::Push
                    });
                }
            }
            Event::OwnAnswered => {
                next.own_answered = true;
                match next.by_epoch {
                    false if !is(Mutant::OwnChangeIgnored) => next.shard.invalidate(&0),
                    true if !is(Mutant::OwnEpochIgnored) => next.shard.invalidate_all(),
                    _ => {}
                }
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "a revoked session is admitted only within the bound",
                |_, state: &State| {
                    !state.admits() || state.revoked_at.is_none_or(|at| state.now < at + BOUND)
                },
            ),
            Property::always(
                "a session that this process revoked is not admitted",
                |_, state: &State| !(state.own_answered && state.admits()),
            ),
            Property::always(
                "there is no lease before a ping was answered",
                |_, state: &State| state.confirmed || !state.shard.has_lease(state.now),
            ),
            Property::sometimes(USED, |_, state: &State| state.admits()),
        ]
    }
}

#[test]
fn a_revoked_session_is_admitted_only_within_the_bound_in_every_order_of_events() {
    let checker = World(None).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
}

#[test]
fn model_finds_a_violation_if_any_safeguard_is_removed() {
    for mutant in [
        Mutant::InsertWithoutGeneration,
        Mutant::InsertWithoutEpoch,
        Mutant::VersionTakenAfterRead,
        Mutant::ExtendWithoutEpoch,
        Mutant::LeaseFromReply,
        Mutant::InvalidationIgnored,
        Mutant::EpochPushIgnored,
        Mutant::EpochPushKeepsReads,
        Mutant::LossIgnored,
        Mutant::OwnChangeIgnored,
        Mutant::OwnEpochIgnored,
    ] {
        let failure = HasDiscoveries::AnyFailures;
        let checker = World(Some(mutant))
            .checker()
            .finish_when(failure)
            .spawn_bfs()
            .join();
        let found = checker.discoveries().keys().any(|name| *name != USED);
        assert!(found, "{mutant:?} is not detected");
    }
}
