use std::{collections::BTreeSet, ops::RangeInclusive, sync::Mutex, thread};

use super::*;
use crate::id::{AgentId, SessionId};

/// Far from the times of all other tests, which use the same process-wide sequence.
const FIXED: u64 = 4_000_000_000_000;
const THREADS: u64 = 4;
const IDS_PER_THREAD: u64 = 25_000;

fn agent(number: u64) -> AgentId {
    AgentId::from_uuid(uuid::Uuid::from_u64_pair(number, number))
}

/// Generates 100,000 values in four threads. Each value must be greater than every value that existed before its call.
fn assert_increasing_across_threads<T, F>(generate: F)
where
    T: Copy + Ord + std::fmt::Debug + Send,
    F: Fn(u64) -> T + Sync,
{
    let latest: Mutex<Option<T>> = Mutex::new(None);
    let generate_many = |thread: u64| {
        let numbers = thread * IDS_PER_THREAD..(thread + 1) * IDS_PER_THREAD;
        let values = numbers.map(|number| {
            let before = *latest.lock().unwrap();
            let value = generate(number);
            assert!(Some(value) > before, "{value:?} after {before:?}");
            let mut latest = latest.lock().unwrap();
            *latest = (*latest).max(Some(value));
            value
        });
        values.collect::<Vec<_>>()
    };
    let unique: BTreeSet<T> = thread::scope(|scope| {
        let threads = [0, 1, 2, 3].map(|thread| scope.spawn(move || generate_many(thread)));
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(unique.len() as u64, THREADS * IDS_PER_THREAD);
}

#[test]
fn ids_of_one_millisecond_are_strictly_increasing_across_agents_and_threads() {
    assert_increasing_across_threads(|number| SessionId::generate(agent(number), FIXED).unwrap());
}

#[test]
fn a_clock_that_steps_back_by_less_than_a_second_keeps_the_order() {
    let sequence = Mutex::new(Sequence::new());
    sequence.lock().unwrap().next(FIXED, 0);
    assert_increasing_across_threads(|number| {
        let random = getrandom::u64().unwrap();
        let mut sequence = sequence.lock().unwrap();
        sequence.next(FIXED - number % MAX_AHEAD_MILLIS, random)
    });
    assert_eq!(sequence.lock().unwrap().latest.unwrap().millis, FIXED);
}

#[test]
fn a_timestamp_stays_less_than_a_second_ahead_of_the_clock() {
    for (now, timestamp) in [
        (FIXED + 1, FIXED + 1),
        (FIXED, FIXED),
        (FIXED - 1, FIXED),
        (FIXED - 999, FIXED),
        (FIXED - 1_000, FIXED - 1_000),
        (FIXED - 1_001, FIXED - 1_001),
        (0, 0),
        (u64::MAX, MAX_MILLIS),
    ] {
        let mut sequence = Sequence::new();
        sequence.next(FIXED, 0);
        assert_eq!(sequence.next(now, 0).millis, timestamp, "{now}");
    }
}

#[test]
fn a_millisecond_that_returns_after_another_clock_was_used_keeps_its_order() {
    let mut sequence = Sequence::new();
    let first = sequence.next(FIXED, u64::MAX / 2);
    sequence.next(FIXED - 3_600_000, 0);
    sequence.next(FIXED + 3_600_000, 0);
    assert!(sequence.next(FIXED, 0) > first);
}

#[test]
fn an_overflow_of_the_counter_advances_the_timestamp_by_one_millisecond() {
    let last = Position {
        millis: FIXED,
        counter: (1 << COUNTER_BITS) - 1,
    };
    let mut sequence = Sequence { latest: Some(last) };
    let random = u64::MAX;
    let overflowed = sequence.next(FIXED, random);
    assert_eq!(overflowed.millis, FIXED + 1);
    assert!(overflowed.counter < 1 << SEED_BITS);
    let after = sequence.next(FIXED, random);
    assert_eq!(after.millis, FIXED + 1);
    assert!(after > overflowed);

    // When the clock has advanced anyway, the timestamp is the clock's.
    let mut sequence = Sequence { latest: Some(last) };
    assert_eq!(sequence.next(FIXED + 7, random).millis, FIXED + 7);
}

#[test]
fn each_id_advances_the_counter_by_a_random_amount_of_40_bits() {
    let step = |random| {
        let mut sequence = Sequence::new();
        let first = sequence.next(FIXED, 0);
        sequence.next(FIXED, random).counter - first.counter
    };
    assert_eq!(step(0), 1);
    assert_eq!(step((1 << 40) - 1), 1 << 40);
    assert_eq!(step(u64::MAX), 1 << 40);
}

#[test]
fn bytes_of_an_id_sort_as_its_counter_and_end_with_the_bucket() {
    let bytes = |counter| {
        Position {
            millis: FIXED,
            counter,
        }
        .trailing_bytes(0xabcd)
    };
    let boundaries: [RangeInclusive<u64>; 3] =
        [0..=1, (1 << 46) - 1..=1 << 46, (1 << 58) - 2..=(1 << 58) - 1];
    for range in boundaries {
        let (lower, upper) = (bytes(*range.start()), bytes(*range.end()));
        assert!(lower < upper, "{range:?}");
        assert_eq!(upper[8..], [0xab, 0xcd]);
    }
    assert_eq!(
        bytes((1 << 58) - 1)[..8],
        [0x0f, 0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff]
    );
}
