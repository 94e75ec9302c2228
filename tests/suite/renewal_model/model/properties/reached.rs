//! States that the model must reach. A property proves nothing about states that are never reached.

use super::Named;
use crate::renewal_model::model::{
    Event,
    rules::{Admitted, Key, Rejection, Request},
    state::State,
};

pub fn with(events: &'static [Event]) -> impl Iterator<Item = Named> {
    let by_events = events.iter().flat_map(|event| match event {
        Event::Attacker => ATTACKER,
        Event::Revocation => REVOCATION,
        Event::Rotation => ROTATION,
        Event::Time => TIME,
        Event::LostWrite => LOST_WRITE,
    });
    let lost_revocation = [Event::LostWrite, Event::Revocation]
        .iter()
        .all(|event| events.contains(event));
    let lost_revocation = LOST_REVOCATION.iter().filter(move |_| lost_revocation);
    ALWAYS.iter().chain(by_events).chain(lost_revocation).copied()
}

const ALWAYS: &[Named] = &[
    ("the last token is stored", |model, state| {
        state.storage.token.generation == model.last_generation
    }),
    ("a renewal is done and its reply lost", |_, state| {
        let stored = Request {
            token: state.storage.token,
            key: state.storage.pending,
        };
        state.record.retry == Some(stored) && state.workers == [None; 2] && state.network.scripts.is_empty()
    }),
    ("a late script finds its renewal done", |_, state| {
        let mut scripts = state.network.scripts.iter();
        scripts.any(|script| state.record.retry == Some(script.request))
    }),
    (
        "two workers wait for different renewals",
        |_, state| matches!(state.workers, [Some(one), Some(other)] if one != other),
    ),
    ("a token is admitted in the overlap", |model, state| {
        let mut tokens = state.issued_tokens();
        tokens.any(|token| model.rules.admit(&state.record, token) == Ok(Admitted::AsPrevious))
    }),
];

const ATTACKER: &[Named] = &[
    ("an attacker renews with its own key", |_, state| {
        answers(state, Some(Key::Attacker))
    }),
    ("an attacker renews without a key", |_, state| {
        answers(state, None)
    }),
];

const REVOCATION: &[Named] = &[("a script meets a revocation", |_, state| {
    let mut scripts = state.network.scripts.iter();
    state.record.revoked && scripts.any(|script| script.expected == state.record.current)
})];

const ROTATION: &[Named] = &[("a script meets a rotation", |_, state| {
    let current = Some(state.record.current);
    current == state.history.rotated && !state.network.scripts.is_empty()
})];

const TIME: &[Named] = &[("a retry comes too late", |_, state| {
    let mut replies = state.network.replies.iter();
    replies.any(|reply| {
        reply.outcome == Err(Rejection::Mismatch)
            && state.storage.token == reply.request.token
            && state.record.current.generation == reply.request.token.generation + 1
    })
})];

/// The documented effects of a lost write.
const LOST_WRITE: &[Named] = &[
    ("a worker learns of the loss", |_, state| {
        let mut replies = state.network.replies.iter();
        replies.any(|reply| reply.outcome == Err(Rejection::StateLost))
    }),
    (
        "a loss goes unnoticed, and a generation has two tokens",
        |_, state| {
            let current = state.record.current;
            let mut tokens = state.issued_tokens();
            tokens.any(|token| token.generation == current.generation && token != current)
        },
    ),
];

const LOST_REVOCATION: &[Named] = &[("a lost revocation is undone", |_, state| {
    state.history.revoked && !state.record.revoked
})];

fn answers(state: &State, key: Option<Key>) -> bool {
    state
        .history
        .answers
        .iter()
        .any(|(request, _)| request.key == key)
}
