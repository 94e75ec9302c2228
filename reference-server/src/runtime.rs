//! The runtime of the server.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A worker takes a task from the global queue after this number of tasks of its own queue.
const GLOBAL_QUEUE_INTERVAL: u32 = 4;

/// Makes the runtime for [`run`](crate::run).
///
/// # Errors
/// If the system has no resources for it.
pub fn runtime() -> io::Result<Runtime> {
    // Under overload, tasks of admitted requests come into the global queue. With Tokio's default they would wait much longer there
    // than in the queue of a worker.
    Builder::new_multi_thread()
        .enable_all()
        .global_queue_interval(GLOBAL_QUEUE_INTERVAL)
        .build()
}
