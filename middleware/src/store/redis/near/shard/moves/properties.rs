//! The properties that the checker examines in each state.

use stateright::Property;

use super::{
    BOUND, World,
    state::{Own, State, Update},
};

pub(super) const PROPERTIES: [&str; 3] = [
    "a revoked session is admitted only within the bound",
    "a session that this process revoked is not admitted",
    "the owner of an earlier map answers no read of a revoked session",
];

/// Show that the model reaches these states.
pub(super) const HIT_AFTER_MOVES: &str = "a record that was cached after two moves admits a request";
pub(super) const OWN: &str = "an own revocation is answered after a move";

pub(super) fn properties() -> Vec<Property<World>> {
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
