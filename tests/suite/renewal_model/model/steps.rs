//! The possible steps, and their effects.

use super::{
    Event, Mutation, RenewalModel,
    rules::{Decision, Key, Record, Request, Script},
    state::{Reply, State, Storage},
};

/// All concurrent scripts but one lose, so two show as much as three.
const SCRIPTS_AT_ONCE: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A worker reserves a key in the storage, or finds one there, and requests a renewal. A crash between the two equals a
    /// request that never arrives.
    Ask {
        worker: usize,
    },
    /// A server gets a request, reads the record and decides. Other steps may happen between the decision and the script: that models a slow server.
    Serve(Request),
    /// The store runs a script.
    Run(Script),
    /// A worker gets a reply. It stores a new token; after a rejection it reads the storage again.
    Receive {
        worker: usize,
        reply: Reply,
    },
    /// A worker loses its memory. The storage remains.
    Crash {
        worker: usize,
    },
    Revoke,
    /// An administrator replaces the token, in the record and in the storage.
    Rotate,
    CloseRetryWindow,
    CloseOverlap,
    LoseLastWrite,
}

impl RenewalModel {
    pub fn possible_steps(&self, state: &State, steps: &mut Vec<Step>) {
        for (worker, waiting) in state.workers.iter().enumerate() {
            if let Some(request) = *waiting {
                let replies = state.network.replies.iter().copied();
                let replies = replies.filter(|reply| reply.request == request);
                steps.extend(replies.map(|reply| Step::Receive { worker, reply }));
                steps.push(Step::Crash { worker });
            } else if state.storage.token.generation < self.last_generation {
                steps.push(Step::Ask { worker });
            }
        }

        if state.network.scripts.len() < SCRIPTS_AT_ONCE {
            steps.extend(state.network.requests.iter().copied().map(Step::Serve));
            if self.allows(Event::Attacker) {
                steps.extend(self.attacker_requests(state).map(Step::Serve));
            }
        }
        steps.extend(state.network.scripts.iter().copied().map(Step::Run));

        let mut event = |event, step, possible| {
            if possible && self.allows(event) {
                steps.push(step);
            }
        };
        let renewable = state.record.current.generation < self.last_generation && !state.record.revoked;
        event(Event::Revocation, Step::Revoke, !state.history.revoked);
        event(
            Event::Rotation,
            Step::Rotate,
            renewable && state.history.rotated.is_none(),
        );
        event(Event::Time, Step::CloseRetryWindow, state.record.retry.is_some());
        event(Event::Time, Step::CloseOverlap, state.record.previous.is_some());
        event(Event::LostWrite, Step::LoseLastWrite, state.before.is_some());
    }

    pub fn apply(&self, state: &mut State, step: Step) {
        match step {
            Step::Ask { worker } => self.ask(state, worker),
            Step::Serve(request) => match self.rules.decide(&state.record, request) {
                Decision::Swap { expected } => {
                    let next = state.mint(expected.generation + 1);
                    state.network.scripts.insert(Script {
                        request,
                        expected,
                        next,
                    });
                    if self.rules.breaks(Mutation::AnswerWithoutWaiting) {
                        state.answer(request, Ok(next));
                    }
                }
                Decision::Repeat(token) => state.answer(request, Ok(token)),
                Decision::Reject(rejection) => state.answer(request, Err(rejection)),
            },
            Step::Run(script) => {
                state.network.scripts.remove(&script);
                let before = state.record.clone();
                let outcome = self.rules.run(&mut state.record, script);
                if state.record != before {
                    self.remember_write(state, before);
                }
                state.answer(script.request, outcome);
            }
            Step::Receive { worker, reply } => {
                state.workers[worker] = None;
                if let Ok(token) = reply.outcome
                    && (state.storage.token == reply.request.token
                        || self.rules.breaks(Mutation::StoreWithoutComparing))
                {
                    state.storage = Storage { token, pending: None };
                }
            }
            Step::Crash { worker } => state.workers[worker] = None,
            Step::Revoke => {
                let before = state.record.clone();
                state.record.revoked = true;
                state.history.revoked = true;
                self.remember_write(state, before);
            }
            Step::Rotate => {
                let before = state.record.clone();
                let token = state.mint(before.current.generation + 1);
                self.rules.rotate(&mut state.record, token);
                state.history.rotated = Some(token);
                state.storage = Storage { token, pending: None };
                self.remember_write(state, before);
            }
            Step::CloseRetryWindow => {
                state.record.retry = None;
                state.before.iter_mut().for_each(|before| before.retry = None);
            }
            Step::CloseOverlap => {
                state.record.previous = None;
                state.before.iter_mut().for_each(|before| before.previous = None);
            }
            Step::LoseLastWrite => {
                state.record = state.before.take().expect("possible only after a write");
                state.write_lost = true;
            }
        }
        state.settle();
    }

    fn ask(&self, state: &mut State, worker: usize) {
        let key = state.storage.pending.unwrap_or_else(|| {
            state.history.keys += 1;
            Key::Reserved(state.history.keys)
        });
        if !self.rules.breaks(Mutation::SendWithoutPersisting) {
            state.storage.pending = Some(key);
        }
        let request = Request {
            token: state.storage.token,
            key: Some(key),
        };
        state.workers[worker] = Some(request);
        state.network.requests.insert(request);
    }

    fn remember_write(&self, state: &mut State, before: Record) {
        if self.allows(Event::LostWrite) && !state.write_lost {
            state.before = Some(before);
        }
    }

    /// An attacker has every issued token, and sends any of them at any time, with its own key or without one.
    fn attacker_requests(&self, state: &State) -> impl Iterator<Item = Request> {
        let renewable = state
            .issued_tokens()
            .filter(|token| token.generation < self.last_generation);
        renewable.flat_map(|token| [None, Some(Key::Attacker)].map(|key| Request { token, key }))
    }
}
