//! The latency and the failures of store calls.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use super::redis_names::{STORE_DURATION, STORE_ERRORS};

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $label:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),* }

        impl $name {
            /// The values of the label, in the order of the variants.
            const LABELS: &[&str] = &[$($label),*];
        }
    };
}

labels! {
    /// A call of the store: a value of the label `operation`.
    StoreOperation {
        Read = "read",
        Create = "create",
        ReplaceToken = "replace_token",
        Revoke = "revoke",
        RevokeAgent = "revoke_agent",
        List = "list",
        Ping = "ping",
        RegisterAgent = "register_agent",
        ReadAgent = "read_agent",
        ListAgents = "list_agents",
        DeleteAgent = "delete_agent",
        ReserveAgent = "reserve_agent",
        Describe = "describe",
    }
}

labels! {
    /// The failure of a call: a value of the label `error`.
    StoreFailure {
        Timeout = "timeout",
        Unavailable = "unavailable",
        Unexpected = "unexpected",
    }
}

/// Measures the calls of a store.
#[derive(Debug)]
pub(crate) struct StoreMetrics {
    /// In the order of [`StoreOperation`].
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    duration: Histogram,
    /// In the order of [`StoreFailure`].
    errors: Vec<Counter>,
}

impl StoreMetrics {
    pub(crate) fn new() -> Self {
        let operation = |operation: &&'static str| Operation {
            duration: histogram!(STORE_DURATION, "operation" => *operation),
            errors: StoreFailure::LABELS
                .iter()
                .map(|error| counter!(STORE_ERRORS, "operation" => *operation, "error" => *error))
                .collect(),
        };
        Self {
            operations: StoreOperation::LABELS.iter().map(operation).collect(),
        }
    }

    pub(crate) fn record(
        &self,
        operation: StoreOperation,
        duration: Duration,
        failure: Option<StoreFailure>,
    ) {
        let Some(operation) = self.operations.get(operation as usize) else {
            return;
        };
        operation.duration.record(duration);
        if let Some(counter) = failure.and_then(|failure| operation.errors.get(failure as usize)) {
            counter.increment(1);
        }
    }
}
