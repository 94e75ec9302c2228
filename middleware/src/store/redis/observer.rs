//! The store's own connection, as another task sees it.

use tokio::sync::{mpsc, watch};

use super::supervisor::{Link, State, Trouble, TroubleKind};

/// Follows the connection and may have it replaced. Does not keep it alive.
#[derive(Clone)]
pub(super) struct Observer {
    state: watch::Receiver<State>,
    troubles: mpsc::WeakSender<Trouble>,
}

impl Observer {
    pub(super) const fn new(state: watch::Receiver<State>, troubles: mpsc::WeakSender<Trouble>) -> Self {
        Self { state, troubles }
    }

    /// Whether the connection of this epoch is in use now.
    pub(super) fn is_up(&self, epoch: u64) -> bool {
        is_up(&self.state.borrow(), epoch)
    }

    /// Waits for the connection. `None` when there will be none any more.
    pub(super) async fn connected(&mut self) -> Option<Link> {
        // A value stays readable when nobody publishes any more.
        self.state.has_changed().ok()?;
        let state = self.state.wait_for(|state| matches!(state, State::Up(_)));
        match &*state.await.ok()? {
            State::Up(link) => Some(link.clone()),
            _ => None,
        }
    }

    /// Waits until the connection of this epoch is not in use any more. `None` when there will be none any more.
    pub(super) async fn replaced(&mut self, epoch: u64) -> Option<()> {
        self.state
            .wait_for(|state| !is_up(state, epoch))
            .await
            .ok()
            .map(drop)
    }

    /// The server behind the connection of this epoch is not the one to ask.
    pub(super) fn give_up(&self, epoch: u64) {
        if let Some(troubles) = self.troubles.upgrade() {
            let kind = TroubleKind::Broken;
            let _ = troubles.try_send(Trouble { epoch, kind });
        }
    }
}

fn is_up(state: &State, epoch: u64) -> bool {
    matches!(state, State::Up(link) if link.epoch == epoch)
}
