//! The rate of log lines about one kind of event: at most one each second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The shortest time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts the events of one kind, and tells when a line about them is due.
#[derive(Debug, Default)]
pub(super) struct LogRate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    since: u64,
}

impl LogRate {
    /// Counts an event. If a line is due, returns the number of events since the line before it.
    pub(super) fn count(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.count(Instant::now())
    }
}

impl State {
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
    fn one_line_per_second_counts_all_events() {
        let mut state = State::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let lines: Vec<_> = [0, 1, 999, 1000, 1500, 2000]
            .map(|millis| state.count(at(millis)))
            .into();
        assert_eq!(lines, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
