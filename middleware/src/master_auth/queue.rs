//! The queue for Argon2: bounded in total and per client.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::lockout::network;
use crate::telemetry::Argon2Metrics;

const MAX_WAITING: usize = 64;
const MAX_WAITING_PER_CLIENT: usize = 16;

/// Counts the requests that wait for Argon2.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    waiting: Arc<Mutex<Waiting>>,
    metrics: Argon2Metrics,
}

#[derive(Debug, Default)]
struct Waiting {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// A place in the queue. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    queue: Queue,
    client: Option<IpAddr>,
}

impl Queue {
    /// Counts a computation, by whether the password was right.
    pub(super) fn ran(&self, right: bool) {
        self.metrics.ran(right);
    }

    /// Takes a place. Returns `None` when the queue or the client's share of it is full.
    pub(super) fn enter(&self, client: Option<IpAddr>) -> Option<Place> {
        let client = client.map(network);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.total >= MAX_WAITING {
            return None;
        }
        if let Some(client) = client {
            let count = waiting.by_client.entry(client).or_default();
            if *count >= MAX_WAITING_PER_CLIENT {
                return None;
            }
            *count += 1;
        }
        waiting.total += 1;
        self.metrics.waiting(waiting.total);
        Some(Place {
            queue: self.clone(),
            client,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.total -= 1;
        self.queue.metrics.waiting(waiting.total);
        if let Some(client) = self.client
            && let Some(count) = waiting.by_client.get_mut(&client)
        {
            *count -= 1;
            if *count == 0 {
                waiting.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_bounded_share_and_dropped_places_are_free() {
        let queue = Queue::default();
        let client = Some("192.0.2.1".parse().unwrap());
        let other = Some("192.0.2.2".parse().unwrap());
        let places: Vec<_> = (0..MAX_WAITING_PER_CLIENT)
            .map(|_| queue.enter(client).unwrap())
            .collect();
        assert!(queue.enter(client).is_none());
        assert!(queue.enter(other).is_some());
        drop(places);
        assert!(queue.enter(client).is_some());
        assert!(queue.waiting.lock().unwrap().by_client.is_empty());
    }

    #[test]
    fn the_queue_is_bounded_in_total() {
        let queue = Queue::default();
        let _places: Vec<_> = (0..MAX_WAITING).map(|_| queue.enter(None).unwrap()).collect();
        assert!(queue.enter(None).is_none());
    }
}
