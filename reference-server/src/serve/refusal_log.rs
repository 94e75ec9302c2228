//! Log lines about refused connections, at most one each second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{listener::Peer, places::Full};

/// The shortest time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Logs refused connections. A line has the number of refusals since the line before it.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    since: u64,
}

impl RefusalLog {
    pub(super) fn log(&self, full: Full, peer: Peer) {
        let refused = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.count(Instant::now())
        };
        let Some(refused) = refused else {
            return;
        };
        let limit = match full {
            Full::Server => "max_connections",
            Full::Client => "max_connections_per_client",
        };
        tracing::warn!(refused, limit, %peer, "connections are refused: their limit is reached");
    }
}

impl State {
    /// Counts a refusal. Returns the number to log, if a line is due.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self.last.is_some_and(|last| now < last + PAUSE) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_second_counts_all_refusals() {
        let mut state = State::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let lines: Vec<_> = [0, 1, 999, 1000, 1500, 2000]
            .map(|millis| state.count(at(millis)))
            .into();
        assert_eq!(lines, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
