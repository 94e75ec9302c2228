//! The properties that must hold in every state, and the states that must be reachable so that the check is meaningful.

mod progress;
mod reached;
mod safety;

pub use progress::{GOES_ON, NEWER_IS_STORED};
pub use safety::{
    AHEAD_IS_REJECTED, NEVER_FORKS, NEXT_GENERATION, NOTHING_IS_LOST, ONE_BACK, ONE_CURRENT,
    REVOKED_IS_REJECTED, ROTATED_OUT, SAME_ANSWER, STAYS_REVOKED,
};
use stateright::Property;

use super::{Event, RenewalModel, state::State};

type Named = (&'static str, fn(&RenewalModel, &State) -> bool);

pub(super) fn of(model: &RenewalModel) -> Vec<Property<RenewalModel>> {
    let mut always = safety::WITH_LOST_WRITES.to_vec();
    if !model.allows(Event::LostWrite) {
        always.extend(safety::WITHOUT_LOST_WRITES);
    }
    // Each event can end the session, or the time to renew it.
    if model.events.is_empty() {
        always.extend(progress::WHEN_UNDISTURBED);
    }
    let always = always
        .into_iter()
        .map(|(name, holds)| Property::always(name, holds));
    let sometimes = reached::with(model.events).map(|(name, holds)| Property::sometimes(name, holds));
    always.chain(sometimes).collect()
}
