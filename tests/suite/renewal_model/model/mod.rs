//! The renewal protocol as a finite model: one session, a store, its agent's two workers, and a network that does
//! as it likes. Whatever `Event`s are let in may happen at any time.

pub mod conformance;
pub mod properties;
mod rules;
mod state;
mod steps;

use rules::Rules;
use state::State;
use stateright::{Model, Property};
use steps::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody else has the tokens too, but never a worker's key.
    Stranger,
    /// The session is revoked.
    Revocation,
    /// An administrator replaces the token.
    Rotation,
    /// The retry window and the overlap close.
    Time,
    /// The store loses its last write, once.
    LostWrite,
}

pub struct RenewalModel {
    /// The generation of the last token that is minted, so that the model is finite.
    last_generation: u8,
    events: &'static [Event],
    rules: Rules,
}

/// A mistake in exactly one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    // In the script.
    SwapWithoutComparing,
    SwapWhenRevoked,
    ForgetRetryInScript,
    KeepRetryWithoutKey,
    KeepOlderPrevious,

    // In the decision of a renewal.
    RepeatWhenRevoked,
    RepeatToAnyKey,
    RepeatWithFreshToken,
    RenewPrevious,
    RenewAhead,
    AnswerWithoutWaiting,

    // In the API's admission.
    AdmitAhead,
    AdmitPreviousWhenRevoked,

    // In an administrator's rotation.
    RotateWithOverlap,
    RotateKeepingRetry,

    // In the workers.
    SendWithoutPersisting,
    StoreWithoutComparing,
}

impl RenewalModel {
    pub const fn new(last_generation: u8, events: &'static [Event]) -> Self {
        Self {
            last_generation,
            events,
            rules: Rules(None),
        }
    }

    pub const fn breaking(mut self, mutation: Mutation) -> Self {
        self.rules = Rules(Some(mutation));
        self
    }

    fn may_happen(&self, event: Event) -> bool {
        self.events.contains(&event)
    }
}

impl Model for RenewalModel {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::first()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.possible_steps(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        self.apply(&mut next, step);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}
