//! The number of requests in flight, and its limit.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicIsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// The number of requests that are being processed.
#[derive(Debug, Default)]
pub(super) struct InFlight(AtomicIsize);

/// One request of [`InFlight`].
#[derive(Debug)]
pub(crate) struct Permit(Arc<InFlight>);

impl InFlight {
    /// Adds a request, unless there are `max` of them.
    pub(super) fn enter(in_flight: &Arc<Self>, max: usize) -> Option<Permit> {
        let before = in_flight.0.fetch_add(1, Relaxed);
        let permit = Permit(in_flight.clone());
        let is_full = usize::try_from(before).is_ok_and(|before| before >= max);
        (!is_full).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

pin_project! {
    /// The body of an admitted request. While the service waits for it, the request is not in flight: slow clients must not take
    /// the capacity from others.
    pub(crate) struct CountedBody<B> {
        #[pin]
        inner: B,
        waits: Waits,
    }
}

impl<B> CountedBody<B> {
    /// The body of a request with this permit. `None` for a request that is not counted.
    pub(super) fn new(inner: B, permit: Option<&Permit>) -> Self {
        Self {
            inner,
            waits: Waits {
                in_flight: permit.map(|permit| permit.0.clone()),
                waits: false,
            },
        }
    }
}

struct Waits {
    /// `None` for a request that is not counted.
    in_flight: Option<Arc<InFlight>>,
    waits: bool,
}

impl Waits {
    fn set(&mut self, waits: bool) {
        if self.waits != waits {
            self.waits = waits;
            if let Some(in_flight) = &self.in_flight {
                in_flight.0.fetch_add(if waits { -1 } else { 1 }, Relaxed);
            }
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.set(false);
    }
}

impl<B: Body<Data = Bytes>> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        this.waits.set(polled.is_pending());
        Poll::Ready(ready!(polled))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_above_the_limit_get_no_permit_until_another_ends() {
        let in_flight = Arc::default();
        let first = InFlight::enter(&in_flight, 2);
        let second = InFlight::enter(&in_flight, 2);
        assert!(first.is_some() && second.is_some());
        assert!(InFlight::enter(&in_flight, 2).is_none());
        drop(first);
        assert!(InFlight::enter(&in_flight, 2).is_some());
    }

    #[test]
    fn request_that_waits_for_its_body_is_not_in_flight() {
        let in_flight = Arc::default();
        let _permit = InFlight::enter(&in_flight, 1);
        let mut waits = Waits {
            in_flight: Some(in_flight.clone()),
            waits: false,
        };
        waits.set(true);
        let other = InFlight::enter(&in_flight, 1);
        assert!(other.is_some());
        drop(waits);
        drop(other);
        assert!(InFlight::enter(&in_flight, 1).is_none());
    }
}
