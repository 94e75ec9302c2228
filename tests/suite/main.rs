//! The integration tests that run beside each other. Those that need the process or the machine for themselves are in
//! `isolated`.

mod administrators;
mod bad_input;
mod client;
mod client_opening;
mod clock_skew;
mod cluster;
mod concurrency;
mod connections;
mod cors;
mod deployment;
mod durable_revocations;
mod failures_page;
mod forbidden_commands;
mod grpc;
mod key_rotation;
mod lost_keys;
mod lost_revocations;
mod metrics;
mod module_order;
mod mounting;
mod near_cache;
mod outsiders;
mod prometheus;
mod proxies;
mod readme;
mod redis_faults;
mod redis_layout;
mod redis_preconditions;
mod renewal;
mod renewal_model;
mod repeated_creation;
mod seed_renewals;
mod seed_sessions;
mod sentinel;
mod serving;
mod session_limit;
mod store;
mod threat_model;
mod tls;
mod topologies_page;
mod verification;
mod wire;

#[test]
fn every_source_file_is_part_of_the_module_tree() {
    let missing = session_auth_tests::module_tree::missing_files("suite");
    assert!(missing.is_empty(), "no `mod` line declares {missing:?}");
}
