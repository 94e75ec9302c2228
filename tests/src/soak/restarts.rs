//! Restarts of one server at a time.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::Soak;

/// The server that is restarted all the time. The others are restarted once, at first, so that their memory is measured over a long
/// life.
const OFTEN: usize = 0;

/// Restarts servers until the test stops.
pub(super) async fn restart(soak: Arc<Soak>) {
    let Some(interval) = soak.options.restart_interval else {
        return;
    };
    let mut turns = (1..soak.options.servers).chain(std::iter::repeat(OFTEN));
    let mut due = Instant::now() + interval;
    loop {
        while Instant::now() < due {
            if soak.tally.has_stopped() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        due += interval;
        let number = turns.next().unwrap_or(OFTEN);
        soak.servers.stop(number, &soak.tally).await;
        {
            let _files = soak.files.lock().await;
            if let Err(error) = soak.servers.start(number, &soak.program, &soak.files).await {
                soak.tally.fail("restart", error);
                return;
            }
        }
        while !soak.balancer.all_ready() {
            sleep(Duration::from_millis(20)).await;
        }
        soak.tally.change(|changes| changes.restarts += 1);
    }
}
