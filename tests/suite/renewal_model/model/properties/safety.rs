//! Safety: the properties that an attacker would want to violate.

use super::Named;
use crate::renewal_model::model::{
    RenewalModel,
    rules::{Admitted, Decision, Key, Rejection, Request, Token},
    state::State,
};

pub const ONE_CURRENT: &str = "at most one token is admitted as the current one";
pub const NEXT_GENERATION: &str = "a token renews only to the next generation";
pub const ONE_BACK: &str = "the overlap admits only the previous generation";
pub const AHEAD_IS_REJECTED: &str = "a token ahead of the record is neither admitted nor renewed";
pub const REVOKED_IS_REJECTED: &str = "a revoked session is rejected";

pub const WITH_LOST_WRITES: [Named; 5] = [
    (ONE_CURRENT, |model, state| {
        admitted(model, state, Admitted::AsCurrent).count() <= 1
    }),
    (NEXT_GENERATION, |_, state| {
        let mut answers = state.history.answers.iter();
        answers.all(|(request, token)| token.generation == request.token.generation + 1)
    }),
    (ONE_BACK, |model, state| {
        let current = state.record.current.generation;
        admitted(model, state, Admitted::AsPrevious).all(|token| token.generation + 1 == current)
    }),
    (AHEAD_IS_REJECTED, |model, state| {
        let current = state.record.current.generation;
        let ahead = |token: &Token| token.generation > current;
        state
            .issued_tokens()
            .filter(ahead)
            .all(|token| is_rejected(model, state, token))
    }),
    (REVOKED_IS_REJECTED, |model, state| {
        !state.record.revoked
            || state
                .issued_tokens()
                .all(|token| is_rejected(model, state, token))
    }),
];

pub const NEVER_FORKS: &str = "a generation has one token";
pub const SAME_ANSWER: &str = "a renewal has one reply, which no other request gets";
pub const STAYS_REVOKED: &str = "a revoked session is never accepted again";
pub const ROTATED_OUT: &str = "a rotation ends every token before it";
pub const NOTHING_IS_LOST: &str = "no token is reported as lost";

/// A lost write undoes a renewal, a revocation or a rotation, so these do not hold with it.
pub const WITHOUT_LOST_WRITES: [Named; 5] = [
    (NEVER_FORKS, |_, state| {
        let same = |one: Token, other: Token| one == other || one.generation != other.generation;
        state
            .issued_tokens()
            .all(|one| state.issued_tokens().all(|other| same(one, other)))
    }),
    (SAME_ANSWER, |_, state| {
        let answers = &state.history.answers;
        let same =
            |one: &(Request, Token), other: &(Request, Token)| (one.0 == other.0) == (one.1 == other.1);
        answers
            .iter()
            .all(|one| answers.iter().all(|other| same(one, other)))
    }),
    (STAYS_REVOKED, |model, state| {
        let admitted = |token| model.rules.admit(&state.record, token).is_ok();
        let admitted = state.history.revoked && state.issued_tokens().any(admitted);
        !admitted && !state.history.renewed_after_revocation
    }),
    (ROTATED_OUT, |model, state| {
        let rotated = state.history.rotated.map_or(0, |token| token.generation);
        let before = |token: &Token| token.generation < rotated;
        state
            .issued_tokens()
            .filter(before)
            .all(|token| is_rejected(model, state, token))
    }),
    (NOTHING_IS_LOST, |model, state| {
        let lost = |token| model.rules.admit(&state.record, token) == Err(Rejection::StateLost);
        !state.issued_tokens().any(lost)
    }),
];

fn admitted(model: &RenewalModel, state: &State, how: Admitted) -> impl Iterator<Item = Token> {
    let mut tokens: Vec<_> = state.issued_tokens().collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens.retain(|token| model.rules.admit(&state.record, *token) == Ok(how));
    tokens.into_iter()
}

/// Neither the API nor a renewal accepts the token, with any key.
fn is_rejected(model: &RenewalModel, state: &State, token: Token) -> bool {
    let sent = state.network.requests.iter().map(|request| request.key);
    let mut keys = sent.chain([None, Some(Key::Attacker)]);
    let rejected = |key| {
        let decision = model.rules.decide(&state.record, Request { token, key });
        matches!(decision, Decision::Reject(_))
    };
    model.rules.admit(&state.record, token).is_err() && keys.all(rejected)
}
