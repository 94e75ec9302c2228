use std::time::Duration;

/// How often it is tried once the token has expired by this process's clock: the server's is what counts.
const LATE_ATTEMPTS: u32 = 6;

/// How the pauses between attempts grow.
#[derive(Clone, Copy)]
pub(super) struct Backoff {
    pub(super) initial: Duration,
    pub(super) max: Duration,
}

/// The attempts at one piece of work.
pub(super) struct Attempts {
    pause: Duration,
    max: Duration,
    late: u32,
}

impl Attempts {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self {
            pause: backoff.initial,
            max: backoff.max,
            late: LATE_ATTEMPTS,
        }
    }

    /// The pause before the next attempt; `None` when there is no use in another, the token having `expired`.
    pub(super) fn next(&mut self, expired: bool) -> Option<Duration> {
        if expired {
            self.late = self.late.checked_sub(1)?;
        }
        let pause = self.pause.min(self.max);
        self.pause = pause.saturating_mul(2);
        Some(jittered(pause))
    }
}

/// Between half of a pause and all of it, so that clients that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness it is the whole pause.
    let part = getrandom::fill(&mut random).map_or(u32::MAX, |()| u32::from_ne_bytes(random));
    pause / 2 + (pause / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
}
