//! Background tasks: a back-off between attempts, a restart after a panic, and an end with their owner.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::{task::JoinHandle, time::sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// The pause between two attempts. It doubles with each attempt, up to half a second.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub(super) const fn reset(&mut self) {
        self.0 = FIRST_PAUSE;
    }

    pub(super) async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(LAST_PAUSE);
    }
}

/// A task panicked. The panic hook has reported the message.
#[derive(Debug)]
pub(super) struct Panicked;

/// Runs a future and catches its panic, so that the caller can start it again.
pub(super) async fn catch_panic<F: Future>(task: F) -> Result<F::Output, Panicked> {
    let mut task = pin!(task);
    poll_fn(|cx| {
        let poll = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx)));
        poll.map_or(Poll::Ready(Err(Panicked)), |poll| poll.map(Ok))
    })
    .await
}

/// Aborts a task when it is dropped.
pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_before_or_after_an_await_is_caught() {
        assert_eq!(catch_panic(async { 1 }).await.unwrap(), 1);
        catch_panic(async { panic!("at once") }).await.unwrap_err();
        let later = async {
            tokio::task::yield_now().await;
            panic!("later")
        };
        catch_panic(later).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_doubles_up_to_half_a_second() {
        let mut backoff = Backoff::new();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let before = tokio::time::Instant::now();
            backoff.wait().await;
            pauses.push(before.elapsed().as_millis());
        }
        assert_eq!(pauses, [20, 40, 80, 160, 320, 500, 500]);
        backoff.reset();
        assert_eq!(backoff.0, FIRST_PAUSE);
    }
}
