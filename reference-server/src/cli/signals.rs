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
pub(super) async fn stop() {
    next_signal().await;
    tracing::info!("stopping");
    systemd::stopping();
    tokio::spawn(async {
        next_signal().await;
        std::process::exit(130);
    });
}

async fn next_signal() {
    #[cfg(unix)]
    {
        let terminate = signal::unix::signal(signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = signal::ctrl_c().await;
}
