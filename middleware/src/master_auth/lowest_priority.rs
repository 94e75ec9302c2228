//! A computation at the lowest priority.
//!
//! The scheduler can suspend a thread of the lowest priority for seconds. It must not hold a lock in that time, since a request could
//! wait for it. So it only computes. It has no access to any state, and its memory is allocated before.

use std::{io, panic::resume_unwind, thread};

/// Runs a computation on a new thread of the lowest priority, and waits for it.
///
/// # Errors
/// If the thread cannot be started.
pub(super) fn compute<T: Send>(computation: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("argon2 hash".to_owned());
        let thread = thread.spawn_scoped(scope, || {
            lower_priority();
            computation()
        })?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Gives the current thread the lowest priority of normal scheduling. Elsewhere than on Linux, a priority belongs to the whole
/// process and is not changed.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        // On Linux, `setpriority` for the process 0 changes the calling thread only (setpriority(2), section "C library/kernel
        // differences"). If the call fails, the threads keep normal priority.
        let _ = rustix::process::setpriority_process(None, 19);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn only_the_computation_has_the_lowest_priority() {
        let before = getpriority_process(None).unwrap();
        assert_eq!(compute(|| getpriority_process(None).unwrap()).unwrap(), 19);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
