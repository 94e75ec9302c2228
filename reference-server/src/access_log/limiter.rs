//! Limits equal log lines. The caller passes the current time.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use tower_session_auth::AuthError;

/// The number of lines for each topic in a window.
pub(super) const LINES_PER_SECOND: u32 = 10;
/// The length of a window. It begins with its first line.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// Lines are equal if they have the same code and reason. The number of topics is bounded, since both are constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    pub(super) code: &'static str,
    pub(super) reason: &'static str,
}

/// The decision about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Write,
    /// The line is the first one that is left out since the last summary: the caller schedules the next one.
    LeaveOutFirst,
    LeaveOut,
}

/// The lines of the current window, by topic.
#[derive(Debug, Default)]
pub(super) struct LineLimiter {
    topics: HashMap<Topic, Window>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    /// Lines that no summary has reported. They can be of an earlier window.
    left_out: u64,
}

impl Topic {
    pub(super) fn of(error: &AuthError) -> Self {
        Self {
            code: error.kind().code(),
            reason: error.reason().as_str(),
        }
    }
}

impl LineLimiter {
    /// Counts a line, and decides whether it is written.
    pub(super) fn decide(&mut self, topic: Topic, now: Instant) -> Verdict {
        let window = self.topics.entry(topic).or_insert(Window {
            began: now,
            lines: 0,
            left_out: 0,
        });
        if now.saturating_duration_since(window.began) >= WINDOW {
            window.began = now;
            window.lines = 0;
        }
        if window.lines < LINES_PER_SECOND {
            window.lines += 1;
            return Verdict::Write;
        }
        window.left_out += 1;
        if window.left_out == 1 {
            Verdict::LeaveOutFirst
        } else {
            Verdict::LeaveOut
        }
    }

    /// Takes the number of lines that were left out since the last summary.
    pub(super) fn take_left_out(&mut self, topic: Topic) -> u64 {
        let window = self.topics.get_mut(&topic);
        window.map_or(0, |window| std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: Topic = Topic {
        code: "STORE_UNAVAILABLE",
        reason: "store_timeout",
    };
    const OVERLOADED: Topic = Topic {
        code: "OVERLOADED",
        reason: "overloaded",
    };

    /// The number of lines that are written of `lines` lines at `now`.
    fn written(limiter: &mut LineLimiter, topic: Topic, now: Instant, lines: u32) -> u32 {
        (0..lines).fold(0, |sum, _| {
            sum + u32::from(limiter.decide(topic, now) == Verdict::Write)
        })
    }

    #[test]
    fn window_admits_its_lines_and_begins_again_after_one_second() {
        let start = Instant::now();
        let millis = |millis| start + Duration::from_millis(millis);
        let mut limiter = LineLimiter::default();
        for (now, lines, expected) in [
            (0, LINES_PER_SECOND - 1, LINES_PER_SECOND - 1),
            (0, 1, 1),
            (0, 1, 0),
            (999, 5, 0),
            (1_000, LINES_PER_SECOND + 1, LINES_PER_SECOND),
            (1_999, 1, 0),
            (2_000, 1, 1),
            (2_001, 1, 1),
        ] {
            assert_eq!(
                written(&mut limiter, STORE, millis(now), lines),
                expected,
                "{now}"
            );
        }
    }

    #[test]
    fn topics_have_separate_limits() {
        let now = Instant::now();
        let mut limiter = LineLimiter::default();
        assert_eq!(written(&mut limiter, STORE, now, 100), LINES_PER_SECOND);
        assert_eq!(written(&mut limiter, OVERLOADED, now, 100), LINES_PER_SECOND);
    }

    #[test]
    fn each_left_out_line_is_counted_once_and_only_the_first_schedules_a_summary() {
        let start = Instant::now();
        let mut limiter = LineLimiter::default();
        assert_eq!(limiter.take_left_out(STORE), 0);
        written(&mut limiter, STORE, start, LINES_PER_SECOND);
        assert_eq!(limiter.decide(STORE, start), Verdict::LeaveOutFirst);
        assert_eq!(limiter.decide(STORE, start), Verdict::LeaveOut);
        // A late summary also reports the lines of the next window.
        let next = start + WINDOW;
        written(&mut limiter, STORE, next, LINES_PER_SECOND);
        assert_eq!(limiter.decide(STORE, next), Verdict::LeaveOut);
        assert_eq!(limiter.take_left_out(STORE), 3);
        assert_eq!(limiter.take_left_out(STORE), 0);
        assert_eq!(limiter.decide(STORE, next), Verdict::LeaveOutFirst);
    }
}
