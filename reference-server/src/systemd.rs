//! Messages to the service manager (`sd_notify` of systemd). Without `NOTIFY_SOCKET` they have no effect.

#[cfg(unix)]
use sd_notify::NotifyState;

/// The server listens.
pub(crate) fn ready() {
    #[cfg(unix)]
    notify(&[NotifyState::Ready]);
}

/// The server has begun to stop.
pub(crate) fn stopping() {
    #[cfg(unix)]
    notify(&[NotifyState::Stopping]);
}

/// The server reloads its configuration. [`ready`] must follow.
pub(crate) fn reloading() {
    // Since version 253, systemd requires the time of the message.
    #[cfg(unix)]
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
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
