//! Keeps the session ids of one process in strictly increasing order (RFC 9562, section 6.2).
//!
//! The counter has 58 bits: all bits of a session id between its timestamp and its bucket. It never goes back within a
//! millisecond. Each id advances it by a random amount of 40 bits, so an id does not reveal the next one.

use std::sync::Mutex;

use crate::sync::lock;

/// Width of the counter: 12 bits of `rand_a` and the first 46 bits of `rand_b`.
const COUNTER_BITS: u32 = 58;
const RAND_B_BITS: u32 = 46;
const STEP_BITS: u32 = 40;
/// A new start value leaves the counter's upper half free: at least 131,072 ids before the next overflow.
const SEED_BITS: u32 = COUNTER_BITS - 1;
/// Largest timestamp of a `UUIDv7`.
const MAX_MILLIS: u64 = (1 << 48) - 1;
/// A clock that goes back by less than this does not change the order of ids. A larger step restarts the order: otherwise ids
/// would carry a creation time far in the future, and their sessions could not be renewed in time.
const MAX_AHEAD_MILLIS: u64 = 1_000;

/// The sequence of all ids of this process.
static SEQUENCE: Mutex<Sequence> = Mutex::new(Sequence::new());

/// The timestamp and the counter of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) millis: u64,
    counter: u64,
}

/// The position of the latest id.
#[derive(Debug)]
struct Sequence {
    latest: Option<Position>,
}

/// The next position of this process's sequence.
pub(super) fn next(now_millis: u64) -> Result<Position, getrandom::Error> {
    let random = getrandom::u64()?;
    let mut sequence = lock(&SEQUENCE);
    Ok(sequence.next(now_millis, random))
}

impl Sequence {
    const fn new() -> Self {
        Self { latest: None }
    }

    fn next(&mut self, now_millis: u64, random: u64) -> Position {
        let now = now_millis.min(MAX_MILLIS);
        let next = self.latest.map_or_else(
            || Position::seeded(now, random),
            |latest| latest.following(now, random),
        );
        self.latest = Some(next);
        next
    }
}

impl Position {
    const fn seeded(millis: u64, random: u64) -> Self {
        Self {
            millis,
            counter: random >> (u64::BITS - SEED_BITS),
        }
    }

    fn following(self, now: u64, random: u64) -> Self {
        let clock_advanced = now > self.millis;
        let order_restarts = now + MAX_AHEAD_MILLIS <= self.millis;
        let step = 1 + random % (1 << STEP_BITS);
        let counter = self.counter + step;
        match (clock_advanced || order_restarts, counter < 1 << COUNTER_BITS) {
            // The counter continues: a clock that was set back can reach this millisecond again.
            (true, true) => Self { millis: now, counter },
            (true, false) => Self::seeded(now, random),
            (false, true) => Self { counter, ..self },
            (false, false) => Self::seeded((self.millis + 1).min(MAX_MILLIS), random),
        }
    }

    /// The ten bytes after the timestamp, with the version and variant bits left zero.
    pub(super) fn trailing_bytes(self, bucket: u16) -> [u8; 10] {
        let mut bytes = [0; 10];
        // Both parts are shorter than their bytes: the bits in front belong to the version and the variant.
        let rand_a = self.counter >> RAND_B_BITS;
        let rand_b = self.counter % (1 << RAND_B_BITS);
        bytes[..2].copy_from_slice(&rand_a.to_be_bytes()[6..]);
        bytes[2..8].copy_from_slice(&rand_b.to_be_bytes()[2..]);
        bytes[8..].copy_from_slice(&bucket.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests;
