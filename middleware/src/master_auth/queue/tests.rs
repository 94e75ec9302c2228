use super::*;

fn client(n: usize) -> Option<IpAddr> {
    let n = u32::try_from(n).unwrap();
    Some(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)))
}

const fn failed(failures: u32) -> ClientStatus {
    ClientStatus {
        verified_recently: false,
        failures,
    }
}

const fn verified(failures: u32) -> ClientStatus {
    ClientStatus {
        verified_recently: true,
        failures,
    }
}

const FRESH: ClientStatus = failed(0);

fn served(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
    std::iter::from_fn(|| queue.next()).collect()
}

#[test]
fn fewer_failures_are_served_first_then_the_earlier_request() {
    let mut queue = Queue::new();
    for (n, failures, job) in [(1, 3, "c"), (2, 0, "a"), (3, 1, "b"), (4, 0, "a2"), (5, 3, "c2")] {
        assert_eq!(queue.enter(client(n), failed(failures), 0, job), Entered::Waits);
    }
    assert_eq!(served(&mut queue), ["a", "a2", "b", "c", "c2"]);
}

#[test]
fn a_verified_client_is_served_before_all_others() {
    let mut queue = Queue::new();
    for (n, status, job) in [(1, FRESH, "a"), (2, verified(9), "p9"), (3, verified(0), "p0")] {
        assert_eq!(queue.enter(client(n), status, 0, job), Entered::Waits);
    }
    assert_eq!(queue.next_verified(), Some("p0"));
    assert_eq!(queue.next_verified(), Some("p9"));
    assert_eq!(queue.next_verified(), None);
    assert_eq!(served(&mut queue), ["a"]);
}

#[test]
fn a_waiting_request_counts_like_a_failure_of_its_client() {
    let mut queue = Queue::new();
    for (n, job) in [(1, "1a"), (1, "1b"), (1, "1c"), (2, "2a"), (2, "2b"), (3, "3a")] {
        assert_eq!(queue.enter(client(n), FRESH, 0, job), Entered::Waits);
    }
    assert_eq!(served(&mut queue), ["1a", "2a", "3a", "1b", "2b", "1c"]);
}

#[test]
fn a_client_has_a_bounded_share_which_is_free_again_when_it_was_served() {
    for status in [FRESH, verified(0)] {
        let mut queue = Queue::new();
        for _ in 0..MAX_WAITING_PER_CLIENT {
            assert_eq!(queue.enter(client(1), status, 0, "job"), Entered::Waits);
        }
        assert_eq!(
            queue.enter(client(1), status, 0, "more"),
            Entered::Refused("more")
        );
        assert_eq!(queue.enter(client(2), failed(9), 0, "other"), Entered::Waits);
        queue.next();
        assert_eq!(queue.enter(client(1), status, 0, "more"), Entered::Waits);
        queue.retain(|job| *job != "more");
        assert_eq!(queue.enter(client(1), status, 0, "again"), Entered::Waits);
    }
}

#[test]
fn in_a_full_queue_a_request_of_the_highest_rank_gives_way() {
    let mut queue = Queue::new();
    for n in 0..MAX_WAITING {
        let failures = if n < 2 { 7 } else { 1 };
        assert_eq!(queue.enter(client(n), failed(failures), 0, n), Entered::Waits);
    }
    let mut next = MAX_WAITING;
    let mut enter = |status, random| {
        next += 1;
        queue.enter(client(next), status, random, next)
    };
    assert_eq!(enter(failed(8), 0), Entered::Refused(MAX_WAITING + 1));
    assert_eq!(enter(failed(7), 1), Entered::Displaced(1), "one of equal rank");
    assert_eq!(enter(FRESH, 2), Entered::Displaced(0));
    assert_eq!(enter(FRESH, 0), Entered::Displaced(MAX_WAITING + 2));
    assert_eq!(enter(failed(2), 0), Entered::Refused(MAX_WAITING + 5));
    let displaced = enter(verified(2), 0);
    assert!(
        matches!(displaced, Entered::Displaced(2..MAX_WAITING)),
        "{displaced:?}"
    );
    assert_eq!(queue.waiting.len(), MAX_WAITING);
}

#[test]
fn jobs_without_a_client_share_the_whole_queue_in_order_of_arrival() {
    let mut queue = Queue::new();
    for n in 0..MAX_WAITING {
        assert_eq!(queue.enter(None, FRESH, 0, n), Entered::Waits);
    }
    assert_eq!(queue.enter(None, FRESH, 2, MAX_WAITING), Entered::Displaced(2));
    assert_eq!(
        (queue.next(), queue.next(), queue.next()),
        (Some(0), Some(1), Some(3))
    );
}

#[test]
fn requests_of_one_client_with_the_same_job_are_taken_together() {
    let mut queue = Queue::new();
    for (n, job) in [(1, "a"), (1, "b"), (2, "a"), (1, "a"), (1, "a")] {
        assert_eq!(queue.enter(client(n), FRESH, 0, job), Entered::Waits);
    }
    assert_eq!(queue.next(), Some("a"));
    assert_eq!(queue.take_of_client(client(1), |job| *job == "a"), ["a", "a"]);
    assert_eq!(served(&mut queue), ["a", "b"]);
}

/// A pseudo-random number, by xorshift.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap()
}

/// The documented probability: computations per second divided by new requests per second.
#[test]
fn a_new_client_has_the_same_probability_as_those_that_wait_already() {
    const TRIES: usize = 400;
    for per_computation in [2, 4] {
        let mut state = 0x9e37_79b9_7f4a_7c15;
        let mut successes = 0_usize;
        for _ in 0..TRIES {
            // Each guess comes from an address that was never seen before.
            let mut addresses = 1..;
            let mut queue = Queue::new();
            for n in addresses.by_ref().take(MAX_WAITING) {
                queue.enter(client(n), FRESH, 0, n);
            }
            let administrator = 0;
            let entered = queue.enter(client(administrator), FRESH, random(&mut state), administrator);
            let mut waits = !matches!(entered, Entered::Refused(_));
            while waits {
                for n in addresses.by_ref().take(per_computation) {
                    let entered = queue.enter(client(n), FRESH, random(&mut state), n);
                    waits &= entered != Entered::Displaced(administrator);
                }
                if waits && queue.next() == Some(administrator) {
                    successes += 1;
                    waits = false;
                }
            }
        }
        let expected = TRIES / per_computation;
        let tolerated = TRIES / 12;
        assert!(
            successes.abs_diff(expected) < tolerated,
            "{successes} of {TRIES} with {per_computation} guesses for each computation"
        );
    }
}
