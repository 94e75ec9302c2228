//! Places that several tasks share.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use super::{Admission, Client, Evicted, Full, Holder, Place, Places};

/// The places of connections, for the tasks that accept them and the tasks that serve them.
pub(crate) struct SharedPlaces<C> {
    places: Mutex<Places<C>>,
    /// Notified when a connection is closed.
    closed: Notify,
}

impl<C: Holder> SharedPlaces<C> {
    pub(crate) fn new(max: usize, max_per_client: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Mutex::new(Places::new(max, max_per_client)),
            closed: Notify::new(),
        })
    }

    /// Waits while so many evicted connections are ending that no other one can be accepted.
    pub(crate) async fn eviction_capacity(&self) {
        loop {
            let closed = self.closed.notified();
            if self.lock().has_eviction_capacity() {
                return;
            }
            closed.await;
        }
    }

    /// Finds a place for a connection. Another connection may have lost it: that one must end.
    ///
    /// # Errors
    /// If there is no place.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: Client,
        connection: C,
    ) -> Result<(HeldPlace<C>, Option<Evicted<C>>), Full> {
        let admission = self.lock().admit(client, connection, Instant::now());
        let (place, evicted) = match admission {
            Admission::Admitted(place) => (place, None),
            Admission::Replaces(place, evicted) => (place, Some(evicted)),
            Admission::Refused(full) => return Err(full),
        };
        let places = self.clone();
        Ok((HeldPlace { places, place }, evicted))
    }

    fn lock(&self) -> MutexGuard<'_, Places<C>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> fmt::Debug for SharedPlaces<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPlaces").finish_non_exhaustive()
    }
}

/// The place of a connection. Drop it after the socket.
pub(crate) struct HeldPlace<C: Holder> {
    places: Arc<SharedPlaces<C>>,
    place: Place,
}

impl<C: Holder> Drop for HeldPlace<C> {
    fn drop(&mut self) {
        self.places.lock().release(self.place);
        self.places.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use super::{
        super::{MAX_ENDING, Standing},
        *,
    };

    #[derive(Clone)]
    struct Idle;

    impl Holder for Idle {
        fn standing(&self) -> Standing {
            Standing::Idle(Instant::now())
        }
    }

    #[tokio::test]
    async fn accepting_waits_until_an_evicted_connection_is_closed() {
        let places = SharedPlaces::new(1, 1);
        let mut held = Vec::new();
        for _ in 0..=MAX_ENDING {
            places.eviction_capacity().await;
            held.push(places.admit(Client::Trusted, Idle).expect("a place").0);
        }
        let mut room = pin!(places.eviction_capacity());
        assert_eq!(poll_once(room.as_mut()).await, Poll::Pending);
        drop(held.swap_remove(0));
        room.await;
    }

    /// Polls a future once.
    async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }
}
