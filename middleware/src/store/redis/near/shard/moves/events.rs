//! The events of the model: which are possible in a state, and the state after each.

use std::sync::Arc;

use super::{
    BOUND, END, Mutant, World,
    state::{Message, Own, Read, Role, State, Update},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
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

impl World {
    pub(super) fn possible_events(&self, state: &State, events: &mut Vec<Event>) {
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

    pub(super) fn apply(&self, state: &State, event: Event) -> Option<State> {
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
