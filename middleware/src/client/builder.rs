//! Opening the session that a process holds.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::watch;
use tower::BoxError;

use super::{
    ClientSession, SessionStorage,
    backoff::Backoff,
    endpoint::Endpoint,
    renewal::State,
    session::{Shared, keep},
};
use crate::clock::{Clock, SystemClock};

/// What a [`ClientSession`] is made of.
pub struct ClientSessionBuilder {
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    attempt_timeout: Duration,
}

impl ClientSessionBuilder {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            clock: Arc::new(SystemClock),
            backoff: Backoff {
                initial: Duration::from_millis(100),
                max: Duration::from_secs(5),
            },
            attempt_timeout: Duration::from_secs(5),
        }
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The pauses between attempts at a renewal: at most `initial`, then twice as long each time, up to `max`; between half of that
    /// and all of it, at random. 100 ms and 5 s by default: several attempts must fit into the server's retry window.
    #[must_use]
    pub const fn backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.backoff = Backoff { initial, max };
        self
    }

    /// For how long an attempt at a renewal waits for its answer: 5 s by default.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Takes the session from its storage and begins to keep it. A renewal that an earlier process left under way is gone on
    /// with at once. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Those of the storage; and when the server's base URI has no scheme and host, or the saved token is none.
    pub async fn open(self, storage: impl SessionStorage) -> Result<ClientSession, BoxError> {
        let saved = storage.load().await?;
        self.endpoint.check(&saved)?;
        let interrupted = saved.pending_key.is_some();
        let handle = Arc::new(());
        let shared = Arc::new(Shared {
            storage: Box::new(storage),
            endpoint: self.endpoint,
            clock: self.clock,
            backoff: self.backoff,
            attempt_timeout: self.attempt_timeout,
            state: watch::Sender::new(State::new(saved)),
            handles: Arc::downgrade(&handle),
        });
        if interrupted {
            shared.start_renewal();
        }
        tokio::spawn(keep(Arc::downgrade(&shared)));
        Ok(ClientSession {
            shared,
            _handle: handle,
        })
    }
}

impl fmt::Debug for ClientSessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSessionBuilder").finish_non_exhaustive()
    }
}
