//! A model of one record that checks every order of events (reads, pushes, pings, losses and revocations) over the real [`Shard`].
//!
//! A tracking connection carries requests one way, and replies and pushes the other way. Each direction keeps its order and may delay
//! messages. A delivered message is processed at any later time, as tasks are. Each mutant removes one safeguard, and the checker must
//! find a violation.

mod events;
mod properties;
mod state;

use stateright::{Checker, HasDiscoveries, Model, Property};

use self::{
    events::Event,
    properties::{USED, properties},
    state::State,
};

/// The length of a lease, and of the whole run, in ticks.
const BOUND: u64 = 2;
const END: u64 = 4;
const READS: u8 = 2;

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

impl Model for World {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        State::initial()
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        Self::possible_events(state, events);
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        self.apply(state, event)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
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
