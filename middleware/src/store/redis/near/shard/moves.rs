//! A model of one record whose hash slot moves between two masters, each with its own cache: a real [`Shard`].
//!
//! A slot moves by `MIGRATE`, or by a failover. After a failover, the old master answers reads and pings until it is demoted. The process
//! learns of the new owner at any later time. It then publishes the new map, begins new epochs, and extends the lease of the map, in this
//! order, with lookups, revocations and further moves in between. Each mutant removes one safeguard, and the checker must find a violation.
//!
//! [`model`](super::model) covers lost connections, late requests and the epochs of agents. The real order of these steps is in
//! `cluster/discovery.rs` and `sessions.rs`.

mod events;
mod properties;
mod state;

use stateright::{Checker, HasDiscoveries, Model, Property};

use self::{
    events::Event,
    properties::{HIT_AFTER_MOVES, OWN, PROPERTIES, properties},
    state::State,
};

/// The length of a cache's lease and of the map's lease, and of the whole run, in ticks.
const BOUND: u64 = 1;
const END: u64 = 1;
/// The longest sequence of events: without a limit, there are too many states for a test.
const DEPTH: usize = 14;

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

impl World {
    fn is(&self, mutant: Mutant) -> bool {
        self.0 == Some(mutant)
    }
}

impl Model for World {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        State::initial()
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        self.possible_events(state, events);
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        self.apply(state, event)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
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
