//! Several processes on one Redis: no process returns a record that is staler than the bound, while connections are cut and
//! processes are stopped.

use std::{
    collections::HashMap,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use redis::Value;
use session_auth_tests::{
    fixtures::staleness::{BOUND_MICROS, CHANGES, LANES, READERS, Report, WRITERS},
    redis::TestRedis,
};
use tokio::{io::AsyncReadExt as _, process, time::sleep};

use crate::alone;

const DISTURBANCE_INTERVAL: Duration = Duration::from_millis(900);
const STOPPED_FOR: Duration = Duration::from_millis(600);

struct Process {
    child: process::Child,
    output: tokio::task::JoinHandle<String>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = process::Command::new(env!("CARGO_BIN_EXE_near-cache-process"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process");
        let mut stdout = child.stdout.take().expect("its output");
        let output = tokio::spawn(async move {
            let mut output = String::new();
            stdout.read_to_string(&mut output).await.expect("text");
            output
        });
        Self { child, output }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().expect("a running process").to_string();
        let status = Command::new("kill").args([signal, &id]).status().expect("kill");
        assert!(status.success());
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a process of ours").is_none()
    }

    /// Closes the input of the process, which ends it. Returns its report.
    async fn end(mut self) -> Report {
        drop(self.child.stdin.take());
        let output = self.output.await.expect("its output");
        assert!(self.child.wait().await.expect("an end").success());
        output.parse().expect("a report")
    }
}

#[tokio::test]
async fn no_process_returns_a_record_staler_than_the_bound() {
    let _alone = alone();
    let redis = TestRedis::start();
    let began = Instant::now();
    let mut readers: Vec<_> = (0..READERS)
        .map(|_| Process::start(&["read", &redis.url()]))
        .collect();
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|writer| Process::start(&["write", &redis.url(), &writer.to_string()]))
        .collect();

    let mut turn = 0;
    while writers.iter_mut().any(Process::is_running) {
        sleep(DISTURBANCE_INTERVAL).await;
        turn += 1;
        if turn % 2 == 0 {
            cut_tracking_connections(&redis);
        } else {
            let reader = &readers[turn / 2 % READERS];
            reader.signal("-STOP");
            sleep(STOPPED_FOR).await;
            reader.signal("-CONT");
        }
    }

    let mut changed = HashMap::new();
    for writer in writers.drain(..) {
        changed.extend(writer.end().await.times);
    }
    assert_eq!(changed.len(), CHANGES);
    let (mut answers, mut latest, mut stale) = (0, 0, 0);
    for reader in readers.drain(..) {
        let report = reader.end().await;
        println!("reader: {:?}", report.counts);
        assert!(report.counts.hits > 500 && report.counts.losses > 0);
        answers += report.times.len();
        for (session, last_good) in report.times {
            let late = changed
                .get(&session)
                .map_or(0, |changed| last_good.saturating_sub(*changed));
            latest = latest.max(late);
            stale += usize::from(late > BOUND_MICROS);
        }
    }
    println!(
        "{CHANGES} changes in {LANES} lanes of {WRITERS} processes, {answers} sessions seen good by {READERS} others, the last \
         of them {latest} us after a change was acknowledged; {:.0} s",
        began.elapsed().as_secs_f64()
    );
    assert!(answers > CHANGES / 10, "the readers see enough of the changes");
    assert_eq!(stale, 0);
}

fn cut_tracking_connections(redis: &TestRedis) {
    let clients: String = redis.command(&["CLIENT", "LIST"]).expect("a list");
    for client in clients.lines().filter(|client| client.contains("flags=t")) {
        if let Some(id) = client.split([' ', '=']).nth(1) {
            // The client may have disconnected.
            let _ = redis.command::<Value>(&["CLIENT", "KILL", "ID", id]);
        }
    }
}
