//! The pauses between attempts.

use std::time::Duration;

/// The number of attempts after the token has expired by the estimated time. Only the server's clock decides, so requests are
/// still sent.
const ATTEMPTS_AFTER_EXPIRY: u32 = 6;

/// The first and the longest pause between attempts.
#[derive(Clone, Copy)]
pub(super) struct Backoff {
    pub(super) initial: Duration,
    pub(super) max: Duration,
}

/// The attempts of one operation.
pub(super) struct Attempts {
    pause: Duration,
    max: Duration,
    after_expiry: u32,
}

impl Attempts {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self {
            pause: backoff.initial,
            max: backoff.max,
            after_expiry: ATTEMPTS_AFTER_EXPIRY,
        }
    }

    /// The pause before the next attempt. `None` after the last one, which exists only once the token has `expired`.
    pub(super) fn next(&mut self, expired: bool) -> Option<Duration> {
        if expired {
            self.after_expiry = self.after_expiry.checked_sub(1)?;
        }
        let pause = self.pause.min(self.max);
        self.pause = pause.saturating_mul(2);
        Some(jittered(pause))
    }
}

/// A random time between half of a pause and all of it, so that clients that failed together do not retry together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness it is the whole pause.
    let part = getrandom::fill(&mut random).map_or(u32::MAX, |()| u32::from_ne_bytes(random));
    pause / 2 + (pause / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
}
