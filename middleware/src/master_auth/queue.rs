//! The order in which requests wait for Argon2: a pure policy without threads and clocks.

use std::net::IpAddr;

/// Number of waiting computations. Each holds a password of at most 1 KiB.
pub(super) const MAX_WAITING: usize = 256;
/// Number of waiting computations of one client network.
pub(super) const MAX_WAITING_PER_CLIENT: usize = 4;

/// A bounded queue that serves clients with few failures first.
///
/// The rank of a request is the number of its client's failures, plus the number of its client's requests that wait already. The
/// lowest rank is served first, and the earliest request among equal ranks. So each of many new clients is served once before any
/// of them is served twice.
#[derive(Debug)]
pub(super) struct Queue<J> {
    waiting: Vec<Waiting<J>>,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting<J> {
    client: Option<IpAddr>,
    rank: u32,
    arrival: u64,
    job: J,
}

/// The outcome of [`Queue::enter`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered<J> {
    Waits,
    /// The queue was full. This job had the highest rank and left.
    Displaced(J),
    /// The queue, or the client's share of it, is full.
    Refused(J),
}

impl<J> Queue<J> {
    pub(super) const fn new() -> Self {
        Self {
            waiting: Vec::new(),
            arrivals: 0,
        }
    }

    /// Adds a job. `client` is the network of the client. A job without a client has rank 0 and no per-client limit.
    pub(super) fn enter(&mut self, client: Option<IpAddr>, failures: u32, job: J) -> Entered<J> {
        let own = client.map_or(0, |_| self.of_client(client).count());
        if own >= MAX_WAITING_PER_CLIENT {
            return Entered::Refused(job);
        }
        let rank = failures.saturating_add(u32::try_from(own).unwrap_or(u32::MAX));
        let mut displaced = None;
        if self.waiting.len() >= MAX_WAITING {
            match self.position(|worst, other| other > worst) {
                Some(worst) if self.waiting[worst].rank > rank => {
                    displaced = Some(self.waiting.swap_remove(worst).job);
                }
                _ => return Entered::Refused(job),
            }
        }
        self.arrivals += 1;
        self.waiting.push(Waiting {
            client,
            rank,
            arrival: self.arrivals,
            job,
        });
        displaced.map_or(Entered::Waits, Entered::Displaced)
    }

    /// Takes the job that is served next.
    pub(super) fn next(&mut self) -> Option<J> {
        let first = self.position(|best, other| other < best)?;
        Some(self.waiting.swap_remove(first).job)
    }

    /// The waiting jobs of a client.
    pub(super) fn of_client(&mut self, client: Option<IpAddr>) -> impl Iterator<Item = &mut J> {
        let own = self
            .waiting
            .iter_mut()
            .filter(move |waiting| waiting.client == client);
        own.map(|waiting| &mut waiting.job)
    }

    /// Removes the jobs for which `keep` is false.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&J) -> bool) {
        self.waiting.retain(|waiting| keep(&waiting.job));
    }

    pub(super) const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The position of the entry that is `better` than all others.
    fn position(&self, better: impl Fn((u32, u64), (u32, u64)) -> bool) -> Option<usize> {
        let order = |index: usize| (self.waiting[index].rank, self.waiting[index].arrival);
        (0..self.waiting.len()).reduce(|best, index| {
            if better(order(best), order(index)) {
                index
            } else {
                best
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: usize) -> Option<IpAddr> {
        let n = u32::try_from(n).unwrap();
        Some(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)))
    }

    fn served(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    #[test]
    fn fewer_failures_are_served_first_then_the_earlier_request() {
        let mut queue = Queue::new();
        for (n, failures, job) in [(1, 3, "c"), (2, 0, "a"), (3, 1, "b"), (4, 0, "a2"), (5, 3, "c2")] {
            assert_eq!(queue.enter(client(n), failures, job), Entered::Waits);
        }
        assert_eq!(served(&mut queue), ["a", "a2", "b", "c", "c2"]);
    }

    #[test]
    fn a_waiting_request_counts_like_a_failure_of_its_client() {
        let mut queue = Queue::new();
        for (n, job) in [(1, "1a"), (1, "1b"), (1, "1c"), (2, "2a"), (2, "2b"), (3, "3a")] {
            assert_eq!(queue.enter(client(n), 0, job), Entered::Waits);
        }
        assert_eq!(served(&mut queue), ["1a", "2a", "3a", "1b", "2b", "1c"]);
    }

    #[test]
    fn a_client_has_a_bounded_share_which_is_free_again_when_it_was_served() {
        let mut queue = Queue::new();
        for _ in 0..MAX_WAITING_PER_CLIENT {
            assert_eq!(queue.enter(client(1), 0, "job"), Entered::Waits);
        }
        assert_eq!(queue.enter(client(1), 0, "more"), Entered::Refused("more"));
        assert_eq!(queue.enter(client(2), 9, "other"), Entered::Waits);
        queue.next();
        assert_eq!(queue.enter(client(1), 0, "more"), Entered::Waits);
        queue.retain(|job| *job != "more");
        assert_eq!(queue.enter(client(1), 0, "again"), Entered::Waits);
    }

    #[test]
    fn in_a_full_queue_the_latest_request_of_the_highest_rank_gives_way() {
        let mut queue = Queue::new();
        for n in 0..MAX_WAITING {
            let failures = if n < 2 { 7 } else { 1 };
            assert_eq!(queue.enter(client(n), failures, n), Entered::Waits);
        }
        let newcomer = MAX_WAITING;
        assert_eq!(
            queue.enter(client(newcomer), 7, newcomer),
            Entered::Refused(newcomer)
        );
        assert_eq!(queue.enter(client(newcomer), 6, newcomer), Entered::Displaced(1));
        assert_eq!(
            queue.enter(client(newcomer + 1), 0, newcomer),
            Entered::Displaced(0)
        );
        assert_eq!(
            queue.enter(client(newcomer + 2), 5, newcomer),
            Entered::Displaced(newcomer)
        );
        assert_eq!(
            queue.enter(client(newcomer + 3), 5, newcomer),
            Entered::Refused(newcomer)
        );
        assert_eq!(queue.waiting.len(), MAX_WAITING);
    }

    #[test]
    fn jobs_without_a_client_share_the_whole_queue_in_order_of_arrival() {
        let mut queue = Queue::new();
        for n in 0..MAX_WAITING {
            assert_eq!(queue.enter(None, 0, n), Entered::Waits);
        }
        assert_eq!(queue.enter(None, 0, 0), Entered::Refused(0));
        assert_eq!((queue.next(), queue.next()), (Some(0), Some(1)));
    }
}
