//! Security events.

use metrics::{Counter, counter};

use super::{STATE_LOST, TOKEN_REUSE};

/// Counts security events.
#[derive(Debug)]
pub(crate) struct SecurityMetrics {
    pub(crate) token_reuse: Counter,
    pub(crate) state_lost: Counter,
}

impl Default for SecurityMetrics {
    fn default() -> Self {
        Self {
            token_reuse: counter!(TOKEN_REUSE),
            state_lost: counter!(STATE_LOST),
        }
    }
}
