//! The lease of a master: the time until which a server may be used as the master.
//!
//! Witnesses (the sentinels, or the masters of a cluster) confirm at intervals that a server is the master. The lease ends a fixed time
//! after a majority of them has confirmed it, counted from the time at which they were asked. Therefore, a process that loses contact
//! with them stops using a master that may have been replaced.

use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

/// The interval in which [`Lease::watch`] looks for the extension of a lease that has ended.
const POLL: Duration = Duration::from_millis(20);

/// The time of a lease without an end.
const PERMANENT: u64 = u64::MAX;

/// A lease. Clones share it.
///
/// It is checked at each use, because a process that was suspended runs its timers late.
#[derive(Debug, Clone)]
pub(super) struct Lease(Arc<Times>);

#[derive(Debug)]
struct Times {
    origin: Instant,
    /// The end, in nanoseconds from the origin.
    until: AtomicU64,
}

impl Lease {
    /// A lease without an end, for a server that has no witnesses.
    pub(super) fn permanent() -> Self {
        Self::until_nanos(PERMANENT)
    }

    /// A lease that has ended, until it is extended.
    pub(super) fn ended() -> Self {
        Self::until_nanos(0)
    }

    fn until_nanos(until: u64) -> Self {
        Self(Arc::new(Times {
            origin: Instant::now(),
            until: AtomicU64::new(until),
        }))
    }

    /// Extends the lease. An earlier end than the present one has no effect.
    pub(super) fn extend(&self, until: Instant) {
        let nanos = until.saturating_duration_since(self.0.origin).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX).min(PERMANENT - 1);
        self.0.until.fetch_max(nanos, Ordering::SeqCst);
    }

    /// True until the end.
    pub(super) fn holds(&self) -> bool {
        self.until().is_none_or(|until| Instant::now() < until)
    }

    /// Calls `changed` when the lease ends, and when it holds again. Never returns.
    pub(super) async fn watch(&self, mut changed: impl FnMut(bool)) -> Infallible {
        loop {
            match self.until() {
                Some(until) => sleep_until(until).await,
                None => pending().await,
            }
            if !self.holds() {
                changed(false);
                while !self.holds() {
                    sleep(POLL).await;
                }
                changed(true);
            }
        }
    }

    /// Resolves when the lease has been over for this time.
    pub(super) async fn over_for(&self, time: Duration) {
        loop {
            match self.until() {
                Some(until) if until.elapsed() >= time => return,
                Some(until) => sleep_until(until + time).await,
                None => pending().await,
            }
        }
    }

    /// The end. `None` for a permanent lease.
    pub(super) fn until(&self) -> Option<Instant> {
        match self.0.until.load(Ordering::SeqCst) {
            PERMANENT => None,
            nanos => Some(self.0.origin + Duration::from_nanos(nanos)),
        }
    }
}

/// The latest confirmation of each witness.
#[derive(Debug)]
pub(super) struct Confirmations(Vec<Option<Instant>>);

impl Confirmations {
    /// Without a confirmation. All witnesses count, also those that never answer.
    pub(super) fn new(witnesses: usize) -> Self {
        Self(vec![None; witnesses])
    }

    /// Records that a witness has confirmed the master when it was asked at `sent`. Earlier questions have no effect.
    pub(super) fn confirm(&mut self, witness: usize, sent: Instant) {
        if let Some(latest) = self.0.get_mut(witness) {
            *latest = (*latest).max(Some(sent));
        }
    }

    /// The latest time since which a majority of the witnesses has confirmed the master. `None` without a majority.
    pub(super) fn majority(&self) -> Option<Instant> {
        let mut sent = self.0.clone();
        sent.sort_unstable_by(|one, other| other.cmp(one));
        sent.get(self.0.len() / 2).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn lease_holds_before_its_end_and_is_never_shortened() {
        let lease = Lease::ended();
        assert!(!lease.holds());
        let end = Instant::now() + 10 * MILLI;
        lease.extend(end);
        lease.extend(end - 5 * MILLI);
        assert_eq!(lease.until(), Some(end));
        advance(9 * MILLI).await;
        assert!(lease.clone().holds());
        advance(MILLI).await;
        assert!(!lease.holds());
        lease.clone().extend(end + MILLI);
        assert!(lease.holds(), "clones share the lease");
    }

    #[tokio::test(start_paused = true)]
    async fn end_and_extension_of_a_lease_are_reported_once() {
        let (lease, began, mut changes) = (Lease::ended(), Instant::now(), Vec::new());
        lease.extend(began + 100 * MILLI);
        let extended = lease.clone();
        let extend = async {
            sleep(50 * MILLI).await;
            extended.extend(began + 200 * MILLI);
            sleep(240 * MILLI).await;
            extended.extend(began + 400 * MILLI);
            sleep(150 * MILLI).await;
        };
        tokio::select! {
            never = lease.watch(|holds| changes.push((began.elapsed().as_millis(), holds))) => match never {},
            () = extend => {}
        }
        assert_eq!(changes, [(200, false), (300, true), (400, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn time_since_the_end_of_a_lease_begins_anew_with_an_extension() {
        let (lease, began) = (Lease::ended(), Instant::now());
        lease.extend(began + 100 * MILLI);
        let extended = lease.clone();
        tokio::spawn(async move {
            sleep(140 * MILLI).await;
            extended.extend(began + 200 * MILLI);
        });
        lease.over_for(50 * MILLI).await;
        assert_eq!(began.elapsed(), 250 * MILLI);
    }

    #[test]
    fn permanent_lease_has_no_end_and_no_time_makes_a_lease_permanent() {
        let lease = Lease::permanent();
        lease.extend(Instant::now());
        assert!(lease.holds() && lease.until().is_none());
        let lease = Lease::ended();
        lease.extend(Instant::now() + Duration::from_secs(60 * 60 * 24 * 365 * 1000));
        assert!(lease.holds() && lease.until().is_some());
    }

    #[test]
    fn majority_is_the_newest_time_that_more_than_half_of_the_witnesses_have_confirmed() {
        let origin = Instant::now();
        let at = |millis| origin + millis * MILLI;
        for (witnesses, confirmations, expected) in [
            (0, &[][..], None),
            (1, &[], None),
            (1, &[(0, 5)], Some(5)),
            (2, &[(0, 5)], None),
            (2, &[(0, 5), (1, 3)], Some(3)),
            (3, &[(0, 5)], None),
            (3, &[(0, 5), (0, 9)], None),
            (3, &[(0, 5), (2, 3)], Some(3)),
            (3, &[(0, 5), (2, 3), (1, 4)], Some(4)),
            (3, &[(0, 5), (2, 3), (1, 4), (2, 6)], Some(5)),
            // A late answer to an earlier question.
            (3, &[(0, 5), (1, 4), (1, 1)], Some(4)),
            (4, &[(0, 1), (1, 2)], None),
            (4, &[(0, 1), (1, 2), (2, 3)], Some(1)),
            (5, &[(0, 1), (1, 2), (2, 3), (3, 4)], Some(2)),
            (5, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], Some(3)),
            // No witness has this number.
            (1, &[(1, 5)], None),
        ] {
            let mut confirmed = Confirmations::new(witnesses);
            for &(witness, sent) in confirmations {
                confirmed.confirm(witness, at(sent));
            }
            let majority = confirmed.majority();
            assert_eq!(majority, expected.map(at), "{witnesses}: {confirmations:?}");
        }
    }
}
