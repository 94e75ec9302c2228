//! Progress: the workers can renew while no event ends the session and its windows stay open.

use super::Named;
use crate::renewal_model::model::{RenewalModel, rules::Admitted, state::State, steps::Step};

pub const GOES_ON: &str = "with the storage alone, a worker reaches the last token";
pub const NEWER_IS_STORED: &str = "a worker is rejected only if the storage has a newer token";

pub const WHEN_UNDISTURBED: [Named; 2] = [
    (GOES_ON, goes_on),
    (NEWER_IS_STORED, |_, state| {
        let stored = state.storage.token.generation;
        let mut replies = state.network.replies.iter();
        replies.all(|reply| reply.outcome.is_ok() || reply.request.token.generation < stored)
    }),
];

/// All workers crash, late scripts run, and one worker continues with the model's steps. `eventually` does not work here:
/// stateright evaluates it on paths without cycles, and a crash or a retry closes a cycle.
fn goes_on(model: &RenewalModel, state: &State) -> bool {
    let mut state = state.clone();
    for worker in 0..state.workers.len() {
        model.apply(&mut state, Step::Crash { worker });
    }
    run_scripts(model, &mut state);
    while state.storage.token.generation < model.last_generation {
        let asked = state.storage.token;
        model.apply(&mut state, Step::Ask { worker: 0 });
        let waiting = state.workers.iter().position(Option::is_some);
        let worker = waiting.expect("a waiting worker");
        let request = state.workers[worker].expect("a waiting worker");
        model.apply(&mut state, Step::Serve(request));
        run_scripts(model, &mut state);
        let reply = *state.network.replies.first().expect("all scripts have run");
        model.apply(&mut state, Step::Receive { worker, reply });
        if state.storage.token == asked {
            return false;
        }
    }
    model.rules.admit(&state.record, state.storage.token) == Ok(Admitted::AsCurrent)
}

fn run_scripts(model: &RenewalModel, state: &mut State) {
    while let Some(script) = state.network.scripts.first().copied() {
        model.apply(state, Step::Run(script));
    }
}
