//! Writes that a failover has lost.

use metrics::{Counter, counter};

use super::redis_names::{BEHIND, REWRITTEN};

/// Counts servers that lack writes, and the revocations that were written again.
#[derive(Debug)]
pub(crate) struct RecoveryMetrics {
    pub(crate) behind: Counter,
    pub(crate) rewritten: Counter,
}

impl RecoveryMetrics {
    pub(crate) fn new() -> Self {
        Self {
            behind: counter!(BEHIND),
            rewritten: counter!(REWRITTEN),
        }
    }
}
