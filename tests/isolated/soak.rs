//! Short runs of the soak test: real server processes under load while an operator changes them. `cargo run -p session-auth-tests
//! --bin soak` runs it for ten minutes.

use std::time::Duration;

use session_auth_tests::soak::{self, Options, Program, Report};

use crate::alone;

async fn run(options: Options) -> Report {
    let program = Program::with_role(env!("CARGO_BIN_EXE_soak").into(), "SOAK_ROLE");
    let report = soak::run(options, program).await;
    println!("{report}");
    assert!(report.is_good(), "{report}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_rotations_and_restarts_under_load_cause_no_wrong_answer_and_refuse_no_connection() {
    let _alone = alone();
    let report = run(Options {
        duration: Duration::from_secs(9),
        servers: 2,
        agents: 24,
        ttl: 4,
        restart_interval: Some(Duration::from_secs(3)),
        reloads: true,
        rotations: 0,
    })
    .await;
    assert!(report.restarts() >= 2, "both servers were restarted");
    assert!(report.requests() > 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_over_three_processes_and_two_verifying_services_loses_no_request() {
    let _alone = alone();
    let report = run(Options {
        duration: Duration::ZERO,
        servers: 3,
        agents: 12,
        ttl: 3,
        restart_interval: None,
        reloads: false,
        rotations: 1,
    })
    .await;
    assert_eq!(report.rotations(), 1);
    assert!(report.requests() > 1_000);
}
