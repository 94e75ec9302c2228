//! Who may wait for Argon2: a bounded number, and no single client more than its share.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::lockout::network;

const MAX_WAITING: usize = 64;
const MAX_WAITING_PER_CLIENT: usize = 16;

/// Counts those who wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// A place in the queue, free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    queue: Queue,
    client: Option<IpAddr>,
}

impl Queue {
    /// `None` when the queue, or the client's share of it, is full.
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
    fn one_client_cannot_fill_the_queue_and_places_come_back() {
        let queue = Queue::default();
        let stranger = Some("192.0.2.1".parse().unwrap());
        let admin = Some("192.0.2.2".parse().unwrap());
        let places: Vec<_> = (0..MAX_WAITING_PER_CLIENT)
            .map(|_| queue.enter(stranger).unwrap())
            .collect();
        assert!(queue.enter(stranger).is_none());
        assert!(queue.enter(admin).is_some());
        drop(places);
        assert!(queue.enter(stranger).is_some());
        assert!(queue.waiting.lock().unwrap().by_client.is_empty());
    }

    #[test]
    fn the_whole_queue_is_bounded() {
        let queue = Queue::default();
        let _places: Vec<_> = (0..MAX_WAITING).map(|_| queue.enter(None).unwrap()).collect();
        assert!(queue.enter(None).is_none());
    }
}
