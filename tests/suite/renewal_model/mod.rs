//! The renewal protocol, checked in every reachable state: with crashes; lost, late and repeated messages; attackers;
//! revocations; rotations; closing windows; and lost writes.

mod model;

use std::{collections::BTreeSet, time::Instant};

use model::{
    Event::{self, Attacker, LostWrite, Revocation, Rotation, Time},
    Mutation::{self, *},
    RenewalModel,
    properties::*,
};
use stateright::{Checker as _, HasDiscoveries, Model as _};

#[test]
fn model_decides_like_the_crate() {
    let compared = model::conformance::compare();
    println!("{compared} pairs of a record and a request");
    assert!(compared > 1_000, "{compared}");
}

/// Only workers, which may crash, and the unreliable network.
const UNDISTURBED: &[Event] = &[];

#[test]
fn workers_never_lose_their_session_on_an_unreliable_network() {
    holds(4, UNDISTURBED);
}

#[test]
fn attackers_and_late_messages_gain_nothing_from_a_renewed_or_revoked_session() {
    holds(3, &[Attacker, Revocation, Time]);
}

#[test]
fn rotation_ends_stolen_tokens() {
    holds(2, &[Attacker, Rotation, Revocation, Time]);
}

#[test]
fn lost_write_undoes_only_itself() {
    holds(2, &[LostWrite, Attacker, Revocation]);
}

// Each rule is necessary: without it, a property is violated.

#[test]
fn each_rule_of_the_script_is_necessary() {
    breaks(SwapWithoutComparing, UNDISTURBED, NEVER_FORKS);
    breaks(SwapWhenRevoked, &[Revocation], STAYS_REVOKED);
    breaks(ForgetRetryInScript, UNDISTURBED, NEWER_IS_STORED);
    breaks(KeepRetryWithoutKey, &[Attacker], SAME_ANSWER);
    breaks(KeepOlderPreviousHash, UNDISTURBED, ONE_BACK);
}

#[test]
fn each_rule_of_a_renewal_decision_is_necessary() {
    breaks(RepeatWhenRevoked, &[Revocation], STAYS_REVOKED);
    breaks(RepeatForAnyKey, &[Attacker], SAME_ANSWER);
    breaks(RepeatWithFreshToken, UNDISTURBED, SAME_ANSWER);
    breaks(RenewPrevious, UNDISTURBED, NEXT_GENERATION);
    breaks(RenewAhead, &[LostWrite], AHEAD_IS_REJECTED);
    breaks(AnswerWithoutWaiting, UNDISTURBED, NOTHING_IS_LOST);
}

#[test]
fn each_rule_of_admission_is_necessary() {
    breaks(AdmitAhead, &[LostWrite], ONE_CURRENT);
    breaks(AdmitAhead, &[LostWrite], AHEAD_IS_REJECTED);
    breaks(AdmitPreviousWhenRevoked, &[Revocation], REVOKED_IS_REJECTED);
}

#[test]
fn each_rule_of_a_rotation_is_necessary() {
    breaks(RotateWithOverlap, &[Rotation], ROTATED_OUT);
    breaks(RotateKeepingRetry, &[Rotation], ROTATED_OUT);
}

#[test]
fn each_rule_of_the_workers_is_necessary() {
    breaks(SendWithoutPersisting, UNDISTURBED, GOES_ON);
    breaks(StoreWithoutComparing, UNDISTURBED, GOES_ON);
}

/// Checks every property in all states. Without an end condition, the checker visits them all.
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

/// Asserts that the checker finds a violation of this property.
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
