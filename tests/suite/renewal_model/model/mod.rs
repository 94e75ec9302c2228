//! The renewal protocol as a finite model: one session, a store, the agent's two workers, and an unreliable network. The
//! selected `Event`s may happen at any time.

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
    /// An attacker has the tokens, but never a worker's key.
    Attacker,
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
    /// The last generation that is issued. It makes the model finite.
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
    KeepOlderPreviousHash,

    // In the decision of a renewal.
    RepeatWhenRevoked,
    RepeatForAnyKey,
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

    fn allows(&self, event: Event) -> bool {
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
