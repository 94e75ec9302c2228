use std::time::Duration;

/// The pauses between attempts.
#[derive(Clone, Copy)]
pub(super) struct Backoff {
    pub(super) next: Duration,
    pub(super) max: Duration,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next.min(self.max);
        self.next = pause.saturating_mul(2);
        jittered(pause)
    }
}

/// Between half of a pause and all of it, so that clients that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness it is the whole pause.
    let part = getrandom::fill(&mut random).map_or(u32::MAX, |()| u32::from_ne_bytes(random));
    pause / 2 + (pause / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
}
