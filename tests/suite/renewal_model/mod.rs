//! The renewal protocol, checked in every state that it can reach: with crashes, with messages lost, late and repeated,
//! with strangers, revocations, rotations, closing windows and lost writes.

mod model;

use std::{collections::BTreeSet, time::Instant};

use model::{
    Event::{self, LostWrite, Revocation, Rotation, Stranger, Time},
    Mutation::{self, *},
    RenewalModel,
    properties::*,
};
use stateright::{Checker as _, HasDiscoveries, Model as _};

#[test]
fn the_rules_of_the_model_are_those_of_the_crate() {
    let compared = model::conformance::compare();
    println!("{compared} pairs of a record and a request");
    assert!(compared > 1_000, "{compared}");
}

/// Nothing but the workers and the network, which are never reliable.
const UNDISTURBED: &[Event] = &[];

#[test]
fn workers_that_keep_asking_never_lose_their_session() {
    holds(4, UNDISTURBED);
}

#[test]
fn strangers_and_late_messages_get_nothing_from_a_renewed_or_revoked_session() {
    holds(3, &[Stranger, Revocation, Time]);
}

#[test]
fn a_rotation_ends_what_was_stolen() {
    holds(2, &[Stranger, Rotation, Revocation, Time]);
}

#[test]
fn a_lost_write_takes_nothing_but_itself_back() {
    holds(2, &[LostWrite, Stranger, Revocation]);
}

// Each rule is needed: without it, a property breaks.

#[test]
fn the_script_needs_its_rules() {
    breaks(SwapWithoutComparing, UNDISTURBED, NEVER_FORKS);
    breaks(SwapWhenRevoked, &[Revocation], STAYS_REVOKED);
    breaks(ForgetRetryInScript, UNDISTURBED, NEWER_IS_STORED);
    breaks(KeepRetryWithoutKey, &[Stranger], SAME_ANSWER);
    breaks(KeepOlderPrevious, UNDISTURBED, ONE_BACK);
}

#[test]
fn the_decision_of_a_renewal_needs_its_rules() {
    breaks(RepeatWhenRevoked, &[Revocation], STAYS_REVOKED);
    breaks(RepeatToAnyKey, &[Stranger], SAME_ANSWER);
    breaks(RepeatWithFreshToken, UNDISTURBED, SAME_ANSWER);
    breaks(RenewPrevious, UNDISTURBED, NEXT_GENERATION);
    breaks(RenewAhead, &[LostWrite], AHEAD_IS_REFUSED);
    breaks(AnswerWithoutWaiting, UNDISTURBED, NOTHING_IS_LOST);
}

#[test]
fn the_admission_needs_its_rules() {
    breaks(AdmitAhead, &[LostWrite], ONE_CURRENT);
    breaks(AdmitAhead, &[LostWrite], AHEAD_IS_REFUSED);
    breaks(AdmitPreviousWhenRevoked, &[Revocation], REVOKED_IS_REFUSED);
}

#[test]
fn the_rotation_needs_its_rules() {
    breaks(RotateWithOverlap, &[Rotation], ROTATED_OUT);
    breaks(RotateKeepingRetry, &[Rotation], ROTATED_OUT);
}

#[test]
fn the_workers_need_their_rules() {
    breaks(SendWithoutPersisting, UNDISTURBED, GOES_ON);
    breaks(StoreWithoutComparing, UNDISTURBED, GOES_ON);
}

/// Every property, in all states: a checker with nothing to end it early goes on until it has seen them all.
fn holds(last_generation: u8, events: &'static [Event]) {
    let started = Instant::now();
    let model = RenewalModel::new(last_generation, events);
    let checker = model.checker().spawn_bfs().join();
    println!(
        "{events:?}: {} states, {} steps, depth {}, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        started.elapsed(),
    );
    checker.assert_properties();
    assert!(checker.is_done());
}

/// The checker finds the mistake by this property.
fn breaks(mutation: Mutation, events: &'static [Event], property: &'static str) {
    let started = Instant::now();
    let model = RenewalModel::new(2, events).breaking(mutation);
    let found = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = model.checker().finish_when(found).spawn_bfs().join();
    println!(
        "{mutation:?}: {} states, {:.1?}",
        checker.unique_state_count(),
        started.elapsed()
    );
    assert!(
        checker.discovery(property).is_some(),
        "{mutation:?} keeps this: {property}"
    );
}
