//! The signals of the process.

use tokio::{signal, sync::mpsc};

use crate::systemd;

/// Reports each SIGHUP from this call on. Without it, SIGHUP would end the process.
pub(super) fn hang_ups() -> mpsc::Receiver<()> {
    // One waiting hang-up is enough: the reload after it reads everything.
    let (report, hang_ups) = mpsc::channel(1);
    #[cfg(unix)]
    match signal::unix::signal(signal::unix::SignalKind::hangup()) {
        Ok(mut signals) => drop(tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _ = report.try_send(());
            }
        })),
        Err(error) => tracing::warn!(%error, "SIGHUP cannot be handled"),
    }
    #[cfg(not(unix))]
    drop(report);
    hang_ups
}

/// Resolves at SIGINT or SIGTERM. A second signal ends the process at once.
///
/// The signals are handled from this call on: a service manager may send one right after the server is ready.
pub(super) fn stop() -> impl Future<Output = ()> {
    let mut signals = EndSignals::new();
    async move {
        signals.next().await;
        tracing::info!("stopping");
        systemd::stopping();
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(130);
        });
    }
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
struct EndSignals([Option<signal::unix::Signal>; 2]);

#[cfg(unix)]
impl EndSignals {
    fn new() -> Self {
        let kinds = [
            signal::unix::SignalKind::interrupt(),
            signal::unix::SignalKind::terminate(),
        ];
        Self(kinds.map(|kind| match signal::unix::signal(kind) {
            Ok(signal) => Some(signal),
            Err(error) => {
                tracing::warn!(%error, "a signal cannot be handled");
                None
            }
        }))
    }

    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            () = received(interrupt) => {}
            () = received(terminate) => {}
        }
    }
}

#[cfg(unix)]
async fn received(signal: &mut Option<signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct EndSignals;

#[cfg(not(unix))]
impl EndSignals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) {
        let _ = signal::ctrl_c().await;
    }
}
