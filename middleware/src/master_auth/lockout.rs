//! Locks the addresses of clients after repeated failures.

use std::{collections::HashMap, net::IpAddr};

use super::ClientAddr;
use crate::clock::Timestamp;

/// Number of failures that lock an address. A success between them changes nothing: an attacker may share the administrator's
/// address.
const LOCKING_FAILURES: u32 = 5;
/// Maximum duration of a lock, in seconds.
const LONGEST_LOCK: u64 = 300;
const LONGER_THAN_ANY_LOCK: u64 = LONGEST_LOCK + 1;
/// Seconds until failures are forgotten, counted from the last failure, or from the end of its lock.
const FORGET_AFTER: u64 = 900;
/// Maximum number of addresses. When it is reached, the address with the oldest failure is forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// Failures by client address. The caller passes the current time.
#[derive(Debug, Default)]
pub(super) struct Lockout {
    failures: HashMap<IpAddr, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
    locked_until: Timestamp,
}

impl Lockout {
    /// Returns `Err` with the remaining seconds when the client is locked.
    pub(super) fn check(&self, client: IpAddr, now: Timestamp) -> Result<(), u64> {
        let failures = self.failures.get(&ClientAddr(client).network());
        match failures.map_or(0, |failures| failures.locked_until.since(now)) {
            // More than the maximum: the clock was set back. The lock is ignored.
            0 | LONGER_THAN_ANY_LOCK.. => Ok(()),
            seconds => Err(seconds),
        }
    }

    /// Counts a failure.
    pub(super) fn failed(&mut self, client: IpAddr, now: Timestamp) {
        let network = ClientAddr(client).network();
        if self.failures.len() >= MAX_ADDRESSES && !self.failures.contains_key(&network) {
            self.make_room(now);
        }
        let failures = self.failures.entry(network).or_insert(Failures {
            count: 0,
            last: now,
            locked_until: now,
        });
        if failures.forgotten(now) {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        if let Some(doublings) = failures.count.checked_sub(LOCKING_FAILURES) {
            let seconds = 1_u64
                .checked_shl(doublings)
                .unwrap_or(LONGEST_LOCK)
                .min(LONGEST_LOCK);
            failures.locked_until = now.plus(seconds);
        }
    }

    /// The number of failures of a client that are not forgotten.
    pub(super) fn failures(&self, client: IpAddr, now: Timestamp) -> u32 {
        let failures = self.failures.get(&ClientAddr(client).network());
        failures
            .filter(|failures| !failures.forgotten(now))
            .map_or(0, |failures| failures.count)
    }

    fn make_room(&mut self, now: Timestamp) {
        self.failures.retain(|_, failures| !failures.forgotten(now));
        if self.failures.len() < MAX_ADDRESSES {
            return;
        }
        let oldest = self.failures.iter().min_by_key(|(_, failures)| failures.last);
        if let Some(oldest) = oldest.map(|(network, _)| *network) {
            self.failures.remove(&oldest);
        }
    }
}

impl Failures {
    const fn forgotten(&self, now: Timestamp) -> bool {
        now.since(self.last) >= FORGET_AFTER && now.since(self.locked_until) >= FORGET_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(lockout: &mut Lockout, client: &str, times: u32, now: u64) {
        for _ in 0..times {
            lockout.failed(ip(client), Timestamp(now));
        }
    }

    #[test]
    fn the_fifth_failure_locks_and_each_further_failure_doubles_the_lock() {
        let mut lockout = Lockout::default();
        let client = "192.0.2.1";
        fail(&mut lockout, client, 4, 1_000);
        assert_eq!(lockout.check(ip(client), Timestamp(1_000)), Ok(()));
        let mut now = 1_000;
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            fail(&mut lockout, client, 1, now);
            assert_eq!(lockout.check(ip(client), Timestamp(now)), Err(seconds));
            assert_eq!(lockout.check(ip(client), Timestamp(now + seconds - 1)), Err(1));
            assert_eq!(lockout.check(ip(client), Timestamp(now + seconds)), Ok(()));
            now += seconds;
        }
    }

    #[test]
    fn ipv4_is_counted_by_address_and_ipv6_by_network() {
        let mut lockout = Lockout::default();
        fail(&mut lockout, "192.0.2.1", 9, 1_000);
        fail(&mut lockout, "2001:db8::1", 9, 1_000);
        let locked = |client| lockout.check(ip(client), Timestamp(1_000)).is_err();
        assert!(locked("192.0.2.1"));
        assert!(locked("::ffff:192.0.2.1"));
        assert!(!locked("192.0.2.2"));
        assert!(locked("2001:db8::2:3:4"));
        assert!(!locked("2001:db8:0:1::1"));
    }

    #[test]
    fn failures_are_forgotten_15_minutes_after_the_last_one_or_its_lock() {
        let client = "192.0.2.1";
        for (failures, lock) in [(1, 0), (4, 0), (5, 1), (8, 8)] {
            for (waited, forgotten) in [
                (FORGET_AFTER - 1, false),
                (FORGET_AFTER, true),
                (FORGET_AFTER + 1, true),
            ] {
                let mut lockout = Lockout::default();
                fail(&mut lockout, client, failures, 1_000);
                let now = 1_000 + lock + waited;
                let before = if forgotten { 0 } else { failures };
                assert_eq!(lockout.failures(ip(client), Timestamp(now)), before);
                fail(&mut lockout, client, 1, now);
                assert_eq!(lockout.failures(ip(client), Timestamp(now)), before + 1);
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_lock() {
        let mut lockout = Lockout::default();
        fail(&mut lockout, "192.0.2.1", 5, 90_000);
        assert!(lockout.check(ip("192.0.2.1"), Timestamp(90_000)).is_err());
        assert_eq!(lockout.check(ip("192.0.2.1"), Timestamp(1_000)), Ok(()));
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let mut lockout = Lockout::default();
        fail(&mut lockout, "192.0.2.1", 1, 999);
        for n in 0..u32::try_from(MAX_ADDRESSES).unwrap() {
            let client = IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
            lockout.failed(client, Timestamp(1_000));
        }
        assert_eq!(lockout.failures.len(), MAX_ADDRESSES);
        assert!(!lockout.failures.contains_key(&ip("192.0.2.1")));
    }
}
