//! Failovers during streams of revocations and renewals: how many acknowledged changes are lost, and how long a replaced master is
//! trusted. `tests/run --soak` runs the long ones, with 50 rounds each or with `SOAK_ROUNDS`.

mod report;
mod round;
mod stream;
mod topology;
mod watch;

use std::{env, time::Duration};

use self::{
    report::{BOUND, Report},
    round::{Outcome, Round},
    topology::{Fault, Kind},
};
use crate::alone;

const ROUNDS: usize = 50;
/// The rounds that run at the same time, each on its own servers.
const LANES: usize = 2;
const FAULTS: [Fault; 3] = [Fault::Kill, Fault::Stop, Fault::Partition];
/// The times for which the replica lacks every write before the fault, in milliseconds.
const LAGS: [u64; 4] = [20, 0, 150, 60];
/// A machine under load may begin a failover before the fault.
const ATTEMPTS: usize = 5;

fn rounds(kind: Kind, count: usize) -> Vec<Round> {
    let numbers = 0..count;
    let round = |number| Round {
        kind,
        fault: FAULTS[number % FAULTS.len()],
        lag: Duration::from_millis(LAGS[number / FAULTS.len() % LAGS.len()]),
    };
    numbers.map(round).collect()
}

/// Runs rounds one after the other.
async fn run(rounds: Vec<Round>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for round in rounds {
        for attempt in 1.. {
            assert!(
                attempt <= ATTEMPTS,
                "{round:?}: the servers fail over without a fault"
            );
            if let Some(outcome) = round::run(round).await {
                println!("{outcome:?}");
                outcomes.push(outcome);
                break;
            }
            println!("{round:?}: the servers failed over before the fault");
        }
    }
    outcomes
}

/// Runs the lanes at the same time.
async fn run_lanes(lanes: Vec<Vec<Round>>) -> Report {
    let lanes: Vec<_> = lanes
        .into_iter()
        .map(|rounds| tokio::spawn(run(rounds)))
        .collect();
    let mut outcomes = Vec::new();
    for lane in lanes {
        outcomes.extend(lane.await.unwrap());
    }
    let report = Report(outcomes);
    println!("{report}");
    report
}

/// What holds on a machine of any speed.
fn assert_no_durable_revocation_is_undone(report: &Report) {
    assert!(report.0.iter().any(|outcome| outcome.waiting.durable > 0));
    for outcome in &report.0 {
        for survival in [&outcome.waiting, &outcome.rewriting, &outcome.ended] {
            assert_eq!(survival.durable_undone, 0, "{outcome:?}");
        }
        assert_eq!(outcome.rewriting.other_undone, 0, "{outcome:?}");
        assert_eq!(outcome.waiting.other_undone, 0, "{outcome:?}");
    }
}

fn assert_replaced_master_is_left(report: &Report) {
    for outcome in &report.0 {
        for ages in [&outcome.strict, &outcome.bounded, &outcome.old_revocations] {
            assert_eq!(ages.later_than(BOUND), 0, "{outcome:?}");
        }
    }
}

async fn soak(kind: Kind) -> Report {
    let mut lanes = vec![Vec::new(); LANES];
    let count = env::var("SOAK_ROUNDS").map_or(ROUNDS, |count| count.parse().expect("a number"));
    for (number, round) in rounds(kind, count).into_iter().enumerate() {
        lanes[number % LANES].push(round);
    }
    let report = run_lanes(lanes).await;
    assert_no_durable_revocation_is_undone(&report);
    assert_replaced_master_is_left(&report);
    // Without copies and without the process, changes are lost: the rounds can show a loss.
    assert!(report.0.iter().any(|outcome| outcome.ended.other_undone > 0));
    report
}

#[ignore = "several minutes: tests/run --soak"]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinel_failovers_undo_no_durable_revocation_and_requests_are_served_within_a_second() {
    let _alone = alone();
    let report = soak(Kind::Sentinel).await;
    for outcome in &report.0 {
        // Sentinel itself announces a master about a second after its promotion.
        assert!(
            outcome.excess_after_announcement() <= Duration::from_secs(1),
            "{outcome:?}"
        );
    }
    let median = report::median(report.0.iter().map(Outcome::excess_after_announcement));
    assert!(
        median < Duration::from_millis(300),
        "a back-off delays the connection: {median:?}"
    );
}

#[ignore = "several minutes: tests/run --soak"]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cluster_failovers_undo_no_durable_revocation() {
    let _alone = alone();
    soak(Kind::Cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn failovers_undo_no_durable_revocation_and_none_of_a_process_that_lives_on() {
    let _alone = alone();
    let mut lanes = Vec::new();
    for kind in [Kind::Sentinel, Kind::Cluster] {
        let mut first = rounds(kind, FAULTS.len());
        let last = first.split_off(LANES);
        lanes.extend([first, last]);
    }
    let report = run_lanes(lanes).await;
    assert_no_durable_revocation_is_undone(&report);
}
