//! The commands that a server executes, from MONITOR.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use redis::{Connection, Value, cmd, from_redis_value};

const MARKER: &str = "session-auth-tests-marker";
const HEARTBEATS: [&str; 3] = ["] \"HELLO\"", "] \"TIME\"", "] \"INFO\" \"replication\""];

/// Collects every command that the server executes, including those inside scripts.
pub struct Monitor {
    feed: Connection,
    marker: Connection,
}

impl Monitor {
    #[track_caller]
    pub(super) fn attach(mut feed: Connection, marker: Connection) -> Self {
        let acknowledged: Value = cmd("MONITOR").query(&mut feed).expect("MONITOR is acknowledged");
        assert_eq!(acknowledged, Value::Okay, "MONITOR is acknowledged");
        Self { feed, marker }
    }

    /// The commands since the last call, oldest first. Each command that was answered before this call is included. A line
    /// looks like `1339518083.107412 [0 127.0.0.1:60866] "GET" "key"`. A command inside a script has `[0 lua]`, where 0 is the
    /// database. HELLO without arguments, TIME and INFO replication are omitted outside of scripts, because stores send them periodically as a health check.
    ///
    /// # Panics
    /// If the server has ended.
    #[track_caller]
    pub fn lines(&mut self) -> Vec<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{MARKER}-{}-{count}.", process::id());
        let echo: String = cmd("ECHO")
            .arg(&marker)
            .query(&mut self.marker)
            .expect("the monitored server answers");
        let mut lines = Vec::new();
        loop {
            let line = self.feed.recv_response().expect("MONITOR goes on");
            let line: String = from_redis_value(line).expect("a line of MONITOR is text");
            if line.contains(&echo) {
                return lines;
            }
            // Omits the markers of other monitors.
            if !line.contains(MARKER) && !is_heartbeat(&line) {
                lines.push(line);
            }
        }
    }
}

fn is_heartbeat(line: &str) -> bool {
    HEARTBEATS.iter().any(|heartbeat| line.ends_with(heartbeat)) && !line.contains(" lua] ")
}
