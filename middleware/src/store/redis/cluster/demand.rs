//! Demands for new views of the cluster.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::{sync::watch, time::Instant};

/// The shortest time between the demands of calls that failed, in milliseconds.
const AFTER_FAILURE: u64 = 100;

/// Makes the watchers ask their nodes before the next interval.
pub(super) struct Demand {
    /// Changes with each demand.
    sender: watch::Sender<u64>,
    began: Instant,
    /// When a failed call demanded views last, in milliseconds from `began`.
    failure_at: AtomicU64,
}

impl Demand {
    pub(super) fn new(sender: watch::Sender<u64>) -> Self {
        Self {
            sender,
            began: Instant::now(),
            failure_at: AtomicU64::new(0),
        }
    }

    /// Demands new views.
    pub(super) fn send(&self) {
        self.sender.send_modify(|demand| *demand = demand.wrapping_add(1));
    }

    /// Demands new views, since a node may have been replaced. Many calls fail during an outage, so this is limited.
    pub(super) fn send_after_failure(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.failure_at.load(Ordering::Relaxed);
        if now.saturating_sub(last) >= AFTER_FAILURE && self.failure_at.swap(now, Ordering::Relaxed) == last {
            self.send();
        }
    }
}
