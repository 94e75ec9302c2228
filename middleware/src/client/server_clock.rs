//! The session server's current time, estimated from its responses.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    clock::{Clock, Timestamp},
    sync::lock,
};

/// The difference of the two local clocks that counts as drift. A larger one means that the local clock was set or the machine slept.
const MAX_JUMP: Duration = Duration::from_secs(2);

/// An estimate of the session server's clock.
///
/// Until the first response it is the local clock. Afterwards it is the server's last known time plus the elapsed time. The
/// estimate is ahead of the server by at most one round trip, and behind by less than a second, because `Date` has whole
/// seconds. If two clocks disagree about the elapsed time, the longer one counts: an early renewal is rejected and repeated,
/// but a late one loses the session.
pub(super) struct ServerClock {
    local: Arc<dyn Clock>,
    anchor: Mutex<Option<Anchor>>,
}

/// A point in time at which the server's time was known, in milliseconds.
#[derive(Clone, Copy)]
struct Anchor {
    server: u64,
    moment: Moment,
}

/// A point in time on both clocks of this process. An operator can set the first. The second stops while the machine is
/// suspended.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    local: u64,
    instant: Instant,
}

impl ServerClock {
    pub(super) fn new(local: Arc<dyn Clock>) -> Self {
        Self {
            local,
            anchor: Mutex::new(None),
        }
    }

    /// The current point in time. Read it before a request is sent.
    pub(super) fn moment(&self) -> Moment {
        Moment {
            local: self.local.now_millis(),
            instant: Instant::now(),
        }
    }

    /// Sets the server's time at a moment. If the local clock was set or the machine slept since then, the time is ignored: it is
    /// unknown whether the server read its clock before or after.
    pub(super) fn set(&self, server: Timestamp, moment: Moment) {
        let now = self.moment();
        let elapsed = now.instant.duration_since(moment.instant).as_millis();
        if u128::from(now.local).abs_diff(u128::from(moment.local) + elapsed) > MAX_JUMP.as_millis() {
            return;
        }
        let server = server.0.saturating_mul(1000);
        *lock(&self.anchor) = Some(Anchor { server, moment });
    }

    /// Moves the estimate forward if it is behind a time that the server's clock has reached, such as a token's `iat`.
    pub(super) fn advance_to(&self, reached: Timestamp) {
        if self.now() < reached {
            self.set(reached, self.moment());
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_millis())
    }

    /// The duration until the server's clock reaches this time.
    pub(super) fn until(&self, time: Timestamp) -> Duration {
        Duration::from_millis(time.0.saturating_mul(1000).saturating_sub(self.now_millis()))
    }

    fn now_millis(&self) -> u64 {
        let now = self.moment();
        let anchor = *lock(&self.anchor);
        anchor.map_or(now.local, |anchor| {
            let elapsed = now.instant.duration_since(anchor.moment.instant).as_millis();
            // The local clock may have been set back, and the other one stops while the machine is suspended.
            let elapsed = u64::try_from(elapsed)
                .unwrap_or(u64::MAX)
                .max(now.local.saturating_sub(anchor.moment.local));
            anchor.server.saturating_add(elapsed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::ManualClock, test_support::NOW};

    fn clock(local: Timestamp) -> (ManualClock, ServerClock) {
        let local = ManualClock::new(local);
        (local.clone(), ServerClock::new(Arc::new(local)))
    }

    #[tokio::test(start_paused = true)]
    async fn the_local_clock_counts_until_the_servers_time_is_known() {
        let (local, clock) = clock(NOW.plus(7_200));
        assert_eq!(clock.now(), NOW.plus(7_200));
        clock.set(NOW, clock.moment());
        assert_eq!(clock.now(), NOW);
        local.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), NOW.plus(5));
        assert_eq!(clock.until(NOW.plus(7)), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_local_clock_that_is_set_back_does_not_set_the_estimate_back() {
        let (local, clock) = clock(NOW.plus(7_200));
        clock.set(NOW, clock.moment());
        tokio::time::advance(Duration::from_secs(30)).await;
        local.set(NOW.plus(30));
        assert_eq!(clock.now(), NOW.plus(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_the_server_has_reached_moves_the_estimate_forward_only() {
        let (_, clock) = clock(NOW);
        clock.advance_to(NOW.plus(600));
        assert_eq!(clock.now(), NOW.plus(600));
        clock.advance_to(NOW);
        assert_eq!(clock.now(), NOW.plus(600));
    }

    #[tokio::test(start_paused = true)]
    async fn answer_is_ignored_if_the_local_clock_jumped_since_its_request() {
        let (local, clock) = clock(NOW);
        clock.set(NOW, clock.moment());
        let sent = clock.moment();
        local.advance(Duration::from_secs(80));
        clock.set(NOW.plus(80), sent);
        assert_eq!(clock.now(), NOW.plus(80), "not 160 seconds later");
    }
}
