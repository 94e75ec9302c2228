//! The tracking thread's view of the store's own connection.

use tokio::sync::{mpsc, watch};

use super::link::{ConnectionFault, FaultKind, Link, State};

/// Follows the state of the connection and can request its replacement. It does not keep the connection open.
#[derive(Clone)]
pub(super) struct Observer {
    state: watch::Receiver<State>,
    faults: mpsc::WeakSender<ConnectionFault>,
}

impl Observer {
    pub(super) const fn new(
        state: watch::Receiver<State>,
        faults: mpsc::WeakSender<ConnectionFault>,
    ) -> Self {
        Self { state, faults }
    }

    /// True if the connection of this attempt is in use, and its server may be used.
    pub(super) fn is_up(&self, attempt: u64) -> bool {
        matches!(&*self.state.borrow(), State::Up(link) if link.attempt == attempt && link.lease.holds())
    }

    /// Waits for a connection. `None` once the store is dropped.
    pub(super) async fn wait_connected(&mut self) -> Option<Link> {
        // The last state stays readable after the supervisor has ended, so that is checked first.
        self.state.has_changed().ok()?;
        let state = self.state.wait_for(|state| matches!(state, State::Up(_)));
        match &*state.await.ok()? {
            State::Up(link) => Some(link.clone()),
            _ => None,
        }
    }

    /// Waits until the connection of this attempt is no longer in use. `None` once the store is dropped.
    pub(super) async fn wait_replaced(&mut self, attempt: u64) -> Option<()> {
        self.state
            .wait_for(|state| !is_up(state, attempt))
            .await
            .ok()
            .map(drop)
    }

    /// Requests that the supervisor replaces the connection of this attempt: it reaches the wrong server.
    pub(super) fn request_replacement(&self, attempt: u64) {
        if let Some(faults) = self.faults.upgrade() {
            let kind = FaultKind::Broken;
            let _ = faults.try_send(ConnectionFault { attempt, kind });
        }
    }
}

fn is_up(state: &State, attempt: u64) -> bool {
    matches!(state, State::Up(link) if link.attempt == attempt)
}
