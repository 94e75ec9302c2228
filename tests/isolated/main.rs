//! The integration tests that need the process or the machine for themselves. They run one at a time: each holds [`alone`].
//!
//! | module | reason |
//! |---|---|
//! | `argon2_load` | measures latencies in milliseconds, and the memory of the process |
//! | `cluster_soak` | fails over a cluster many times; ignored, `tests/run --soak` runs it |
//! | `failover_soak` | kills masters under load; the long ones are ignored, `tests/run --soak` runs them |
//! | `harness` | starts this program again and kills it; counts the users of the process's shared Redis |
//! | `near_cache_processes` | four processes load both cores; staleness is measured in milliseconds |
//! | `openapi` | Schemathesis loads both cores for a minute |
//! | `near_cache_load` | tasks that never wait load both cores; staleness is measured in milliseconds |
//! | `layout_memory` | 100,000 creations load the machine, and tests with time limits would miss them beside it |
//! | `serving_load` | thousands of connections; times are measured in milliseconds |
//! | `overload` | clients that send without a pause load both cores; times are measured in milliseconds |
//! | `soak` | server processes and their clients load both cores |
//! | `renewal_faults` | 10,000 renewals load the machine, and tests with time limits would miss them beside it |

mod argon2_load;
mod cluster_soak;
mod failover_soak;
mod harness;
mod layout_memory;
mod near_cache_load;
mod near_cache_processes;
mod openapi;
mod overload;
mod renewal_faults;
mod serving_load;
mod soak;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the test that runs now.
struct Alone {
    _guard: MutexGuard<'static, ()>,
}

/// Waits until no other test of this program runs, and keeps the others waiting until it is dropped.
fn alone() -> Alone {
    static RUNNING: Mutex<()> = Mutex::new(());
    // A test that failed releases it too.
    let guard = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    Alone { _guard: guard }
}

#[test]
fn every_source_file_is_part_of_the_module_tree() {
    let _alone = alone();
    let missing = session_auth_tests::module_tree::missing_files("isolated");
    assert!(missing.is_empty(), "no `mod` line declares {missing:?}");
}
