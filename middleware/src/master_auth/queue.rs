//! The order in which requests wait for Argon2: a pure policy without threads, clocks and randomness.

use std::net::IpAddr;

/// Number of waiting requests. Each holds a password of at most 1 KiB.
pub(super) const MAX_WAITING: usize = 256;
/// Number of waiting requests of one client network.
pub(super) const MAX_WAITING_PER_CLIENT: usize = 64;

/// A bounded queue. Verified clients are served first, then clients with fewer failures.
///
/// Verified clients come first. Within each group, the rank is the number of the client's failures, plus the number of its requests
/// that wait already. The lowest rank is served first, and the earliest request among equal ranks. So each of many new clients is served
/// once before any of them is served twice.
///
/// A full queue rejects a random request of the highest rank. At equal rank, the new request displaces a waiting one. So waiting requests
/// cannot keep out a new one of equal rank: if requests arrive faster than they are served, all requests of one rank have the same
/// probability.
#[derive(Debug)]
pub(super) struct Queue<J> {
    waiting: Vec<Waiting<J>>,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting<J> {
    client: Option<IpAddr>,
    rank: Rank,
    arrival: u64,
    job: J,
}

/// The facts about a client that decide its place in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ClientStatus {
    /// True if the client has sent the right password recently.
    pub(super) verified_recently: bool,
    /// The number of its failures.
    pub(super) failures: u32,
}

/// The place of a request in the order. The lowest is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_unverified: bool,
    failures_and_waiting: u32,
}

/// The outcome of [`Queue::enter`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered<J> {
    Waits,
    /// The queue was full. This job had the highest rank and left.
    Displaced(J),
    /// The client's share of the queue is full, or the queue is full of jobs with lower ranks.
    Refused(J),
}

impl<J> Queue<J> {
    pub(super) const fn new() -> Self {
        Self {
            waiting: Vec::new(),
            arrivals: 0,
        }
    }

    /// Adds a job. `client` is the network of the client. A job without a client has no per-client limit. `random` chooses the job
    /// that a full queue displaces.
    pub(super) fn enter(
        &mut self,
        client: Option<IpAddr>,
        status: ClientStatus,
        random: usize,
        job: J,
    ) -> Entered<J> {
        let own = client.map_or(0, |_| {
            self.waiting
                .iter()
                .filter(|waiting| waiting.client == client)
                .count()
        });
        if own >= MAX_WAITING_PER_CLIENT {
            return Entered::Refused(job);
        }
        let own = u32::try_from(own).unwrap_or(u32::MAX);
        let rank = Rank {
            is_unverified: !status.verified_recently,
            failures_and_waiting: status.failures.saturating_add(own),
        };
        let mut displaced = None;
        if self.waiting.len() >= MAX_WAITING {
            match self.random_of_highest_rank(random) {
                Some(index) if self.waiting[index].rank >= rank => {
                    displaced = Some(self.waiting.swap_remove(index).job);
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
        let first = self.first()?;
        Some(self.waiting.swap_remove(first).job)
    }

    /// Takes the job that is served next, if the client's password was verified recently.
    pub(super) fn next_verified(&mut self) -> Option<J> {
        let first = self.first()?;
        let is_verified = !self.waiting[first].rank.is_unverified;
        is_verified.then(|| self.waiting.swap_remove(first).job)
    }

    /// Takes the jobs of a client that are equal by `is_same`.
    pub(super) fn take_of_client(&mut self, client: Option<IpAddr>, is_same: impl Fn(&J) -> bool) -> Vec<J> {
        let taken = self
            .waiting
            .extract_if(.., |waiting| waiting.client == client && is_same(&waiting.job));
        taken.map(|waiting| waiting.job).collect()
    }

    /// Removes the jobs for which `keep` is false.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&J) -> bool) {
        self.waiting.retain(|waiting| keep(&waiting.job));
    }

    pub(super) const fn len(&self) -> usize {
        self.waiting.len()
    }

    fn first(&self) -> Option<usize> {
        let order = |index: &usize| (self.waiting[*index].rank, self.waiting[*index].arrival);
        (0..self.waiting.len()).min_by_key(order)
    }

    fn random_of_highest_rank(&self, random: usize) -> Option<usize> {
        let highest = self.waiting.iter().map(|waiting| waiting.rank).max()?;
        let indices = (0..self.waiting.len()).filter(|index| self.waiting[*index].rank == highest);
        let indices: Vec<_> = indices.collect();
        Some(indices[random % indices.len()])
    }
}

#[cfg(test)]
mod tests;
