//! Store calls: their deadline, and what is measured of them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Timeout, timeout_at};

use crate::{
    store::StoreError,
    telemetry::{StoreFailure, StoreMetrics, StoreOperation},
};

/// Longer limits are cut to this: the clock ends some time after it.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The deadline of every call, and the metrics.
pub(super) struct Calls {
    deadline: Duration,
    metrics: StoreMetrics,
}

impl Calls {
    pub(super) fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            metrics: StoreMetrics::new(),
        }
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Applies the deadline to a store call, and measures it. A command that was sent may still run after it.
    pub(super) fn within<F: Future>(&self, operation: StoreOperation, call: F) -> Within<'_, F> {
        self.within_limit(operation, self.deadline, call)
    }

    /// Like [`within`](Self::within), with this time instead of the deadline.
    pub(super) fn within_limit<F: Future>(
        &self,
        operation: StoreOperation,
        limit: Duration,
        call: F,
    ) -> Within<'_, F> {
        // The clock is read once, and not again by `timeout`.
        let began = Instant::now();
        Within {
            operation,
            began,
            call: timeout_at(began + limit.min(LONGEST), call),
            metrics: &self.metrics,
        }
    }
}

pin_project! {
    /// A store call with its deadline. It is no `async fn`, because that would hold the call twice.
    pub(super) struct Within<'a, F> {
        #[pin]
        call: Timeout<F>,
        operation: StoreOperation,
        began: Instant,
        metrics: &'a StoreMetrics,
    }
}

impl<T, F: Future<Output = Result<T, StoreError>>> Future for Within<'_, F> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.call.poll(cx)).unwrap_or(Err(StoreError::Timeout));
        let failure = answer.as_ref().err().map(StoreError::failure);
        this.metrics
            .record(*this.operation, this.began.elapsed(), failure);
        Poll::Ready(answer)
    }
}

impl StoreError {
    const fn failure(&self) -> StoreFailure {
        match self {
            Self::Timeout => StoreFailure::Timeout,
            Self::Unavailable(_) => StoreFailure::Unavailable,
            Self::Unexpected(_) => StoreFailure::Unexpected,
        }
    }
}
