//! The events of the model: which are possible in a state, and the state after each.

use std::sync::Arc;

use super::{
    BOUND, END, Mutant, World,
    state::{Message, Ping, Read, Request, State},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
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

impl World {
    pub(super) fn possible_events(state: &State, events: &mut Vec<Event>) {
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

    pub(super) fn apply(&self, state: &State, event: Event) -> Option<State> {
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
}
