//! Messages to the service manager (`sd_notify` of systemd). Without `NOTIFY_SOCKET` they have no effect.

#[cfg(unix)]
use std::sync::{Mutex, PoisonError};

#[cfg(unix)]
use sd_notify::NotifyState;

/// The messages of this process.
#[cfg(unix)]
static NOTIFIER: Notifier = Notifier::new();

/// The server listens, or a reload has ended.
pub(crate) fn ready() {
    #[cfg(unix)]
    NOTIFIER.unless_stopping(|| notify(&[NotifyState::Ready]));
}

/// The server has begun to stop. Neither [`ready`] nor [`reloading`] has an effect after it: systemd would take the service for a
/// running one.
pub(crate) fn stopping() {
    #[cfg(unix)]
    NOTIFIER.stop(|| notify(&[NotifyState::Stopping]));
}

/// The server reloads its configuration. [`ready`] must follow.
pub(crate) fn reloading() {
    // Since version 253, systemd requires the time of the message.
    #[cfg(unix)]
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        NOTIFIER.unless_stopping(|| notify(&[NotifyState::Reloading, now]));
    }
}

/// The order of the messages.
#[cfg(unix)]
struct Notifier {
    stopping: Mutex<bool>,
}

#[cfg(unix)]
impl Notifier {
    const fn new() -> Self {
        Self {
            stopping: Mutex::new(false),
        }
    }

    /// Sends a message. The lock keeps the order: a message that was sent before [`stop`](Self::stop) arrives before it.
    fn unless_stopping(&self, send: impl FnOnce()) {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        if !*stopping {
            send();
        }
    }

    fn stop(&self, send: impl FnOnce()) {
        let mut stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        *stopping = true;
        send();
    }
}

/// Sends the messages that the watchdog expects (`WatchdogSec=`), at half of its interval, for as long as the runtime runs tasks.
pub(crate) async fn watchdog() {
    #[cfg(unix)]
    if let Some(interval) = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero()) {
        let mut interval = tokio::time::interval(interval / 2);
        loop {
            interval.tick().await;
            notify(&[NotifyState::Watchdog]);
        }
    }
}

#[cfg(unix)]
fn notify(messages: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(messages) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
