//! Measures the clock skew against the server, and logs when it becomes too large or tolerable.

use std::sync::{Arc, Mutex, MutexGuard};

use redis::{RedisResult, aio::MultiplexedConnection, cmd};
use tokio::time::Instant;

use super::link::ServerTime;
use crate::{clock::Clock, store::ClockSkew, sync::lock, telemetry::ServerMetrics};

/// The latest skew. The supervisor measures it, and the store reads it.
pub(super) struct SkewMonitor {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    metrics: Arc<ServerMetrics>,
}

#[derive(Default)]
struct State {
    /// `None` while there is no connection.
    latest: Option<ClockSkew>,
    /// True after a warning. A lost connection does not change it, so that each connection does not repeat the warning.
    warned: bool,
}

impl SkewMonitor {
    pub(super) fn new(clock: Arc<dyn Clock>, metrics: Arc<ServerMetrics>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            metrics,
        }
    }

    /// The latest skew. `None` while there is no connection, and if the user may not call `TIME`.
    pub(super) fn latest(&self) -> Option<ClockSkew> {
        self.lock().latest
    }

    /// Asks the server for its time, and measures the skew. `None` if the user may not call `TIME`.
    pub(super) async fn measure(&self, connection: &mut MultiplexedConnection) -> Option<ServerTime> {
        let sent = self.clock.now_millis();
        let time: RedisResult<(u64, u64)> = cmd("TIME").query_async(connection).await;
        let answered = self.clock.now_millis();
        let Ok(time) = time else {
            self.forget();
            return None;
        };
        let time = ServerTime::read(&time, Instant::now());
        self.record(ClockSkew::estimate(sent, time.millis(), answered));
        Some(time)
    }

    /// Forgets the skew: without a connection, an old one would look like a current one.
    pub(super) fn forget(&self) {
        self.lock().latest = None;
        self.metrics.set_clock_skew(None);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
    fn record(&self, skew: ClockSkew) {
        let was_tolerated = {
            let mut state = self.lock();
            state.latest = Some(skew);
            !std::mem::replace(&mut state.warned, !skew.is_tolerated())
        };
        self.metrics.set_clock_skew(Some(skew.millis() as f64 / 1000.0));
        let skew_ms = skew.millis();
        match (was_tolerated, skew.is_tolerated()) {
            (true, false) => tracing::warn!(
                skew_ms,
                "the clock of this process differs from the clock of Redis by more than {} ms",
                ClockSkew::TOLERATED_MILLIS
            ),
            (false, true) => tracing::info!(
                skew_ms,
                "the clock of this process agrees with the clock of Redis"
            ),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::SystemClock, telemetry::ServersMetrics, test_support::CapturedLogs};

    fn skew(millis: u64) -> ClockSkew {
        ClockSkew::estimate(millis, 0, millis)
    }

    #[test]
    fn each_change_of_state_is_logged_once() {
        let logs = CapturedLogs::start();
        let monitor = SkewMonitor::new(Arc::new(SystemClock), ServersMetrics::new().server());
        for (millis, warnings, agreements) in [
            (0, 0, 0),
            (2_000, 0, 0),
            (2_001, 1, 0),
            (3_600_000, 1, 0),
            (2_001, 1, 0),
            (2_000, 1, 1),
            (0, 1, 1),
            (5_000, 2, 1),
        ] {
            monitor.record(skew(millis));
            assert_eq!(logs.containing("differs").len(), warnings, "{millis}");
            assert_eq!(logs.containing("agrees").len(), agreements, "{millis}");
            assert_eq!(monitor.latest(), Some(skew(millis)));
        }
    }

    #[test]
    fn lost_connection_makes_the_skew_unknown_and_repeats_no_warning() {
        let logs = CapturedLogs::start();
        let monitor = SkewMonitor::new(Arc::new(SystemClock), ServersMetrics::new().server());
        monitor.record(skew(5_000));
        monitor.forget();
        assert_eq!(monitor.latest(), None);
        monitor.record(skew(5_000));
        assert_eq!(logs.containing("differs").len(), 1);
        monitor.forget();
        monitor.record(skew(0));
        assert_eq!(logs.containing("agrees").len(), 1);
    }
}
