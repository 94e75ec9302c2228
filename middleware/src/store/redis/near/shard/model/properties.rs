//! The properties that the checker examines in each state.

use stateright::Property;

use super::{BOUND, World, state::State};

/// Shows that the model reaches cache hits.
pub(super) const USED: &str = "a cached record admits a request";

pub(super) fn properties() -> Vec<Property<World>> {
    vec![
        Property::always(
            "a revoked session is admitted only within the bound",
            |_, state: &State| !state.admits() || state.revoked_at.is_none_or(|at| state.now < at + BOUND),
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
