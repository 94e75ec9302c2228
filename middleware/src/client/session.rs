//! The session that a process holds.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use tokio::sync::watch;
use tower::{BoxError, Service};

use super::{
    ClientSessionLayer, SavedSession, SessionOver, SessionStorage,
    endpoint::Endpoint,
    renewal::{Phase, State},
};
use crate::{
    clock::{Clock, SystemClock},
    error::ErrorKind,
    id::SessionId,
    token::SessionToken,
};

/// How often the clock is looked at when nothing else happens: it may be set, and machines sleep.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(10);

/// The session of this process. Clones share it. See [`client`](super) for the rules.
#[derive(Clone)]
pub struct ClientSession {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) storage: Box<dyn Storage>,
    pub(super) endpoint: Endpoint,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pauses: (Duration, Duration),
    pub(super) patience: Duration,
    pub(super) state: watch::Sender<State>,
}

/// What a [`ClientSession`] is made of.
pub struct ClientSessionBuilder {
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    pauses: (Duration, Duration),
    patience: Duration,
}

impl ClientSession {
    /// A session that is renewed by this HTTP client at the session server with this base URI, such as
    /// `https://sessions.example`.
    pub fn builder<S, B>(http: S, server: Uri) -> ClientSessionBuilder
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send,
    {
        ClientSessionBuilder {
            endpoint: Endpoint::new(http, &server),
            clock: Arc::new(SystemClock),
            pauses: (Duration::from_millis(100), Duration::from_secs(5)),
            patience: Duration::from_secs(5),
        }
    }

    /// A layer for HTTP clients that attaches the token.
    #[must_use]
    pub fn layer(&self) -> ClientSessionLayer {
        ClientSessionLayer::new(self.clone())
    }

    /// Which session it is.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.shared.state.borrow().saved.id
    }

    /// The token to send now. When the renewal is due it begins in the background; only a token that has expired is waited
    /// for.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn token(&self) -> Result<SessionToken, SessionOver> {
        let mut asked = false;
        loop {
            self.shared.renew_if_due();
            let state = self.shared.state.borrow().clone();
            if let Phase::Over(over) = state.phase {
                return Err(over);
            }
            // Of a token that is too young to be renewed, the server says that it has not expired: its clock is what counts.
            if self.shared.clock.now() < state.saved.expires_at || asked && state.phase == Phase::Steady {
                return Ok(state.saved.token);
            }
            if state.phase == Phase::Last {
                let over = Phase::Over(SessionOver::LimitReached);
                self.shared.settle(&state.saved.token, over);
            } else {
                self.shared.start_renewal();
                self.shared.renewal_ended().await;
                asked = true;
            }
        }
    }

    /// The token, after the renewal if one is due or under way: for work that must not meet a renewal half way.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn fresh_token(&self) -> Result<SessionToken, SessionOver> {
        self.shared.renew_if_due();
        self.shared.renewal_ended().await;
        self.token().await
    }

    /// Waits until the session is over.
    pub async fn ended(&self) -> SessionOver {
        let mut state = self.shared.state.subscribe();
        loop {
            if let Phase::Over(over) = state.borrow_and_update().phase {
                return over;
            }
            // The sender lives as long as `self`.
            let _ = state.changed().await;
        }
    }

    /// Reads the storage again, and goes on with what is there: for the application that has put a new session there.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn reload(&self) -> Result<(), BoxError> {
        let saved = self.shared.storage.load().await?;
        if saved.token != self.shared.state.borrow().saved.token {
            self.shared.adopt(saved);
        }
        Ok(())
    }

    /// What becomes of a request whose token was refused: whether to send it again, with another token.
    pub(super) async fn refused(&self, token: &SessionToken, kind: ErrorKind) -> Result<bool, SessionOver> {
        if !self.holds(token)? {
            return Ok(true);
        }
        match SessionOver::by(kind) {
            Some(over) => self.shared.end(token, over).await,
            None => {
                self.shared.start_renewal();
                self.shared.renewal_ended().await;
            }
        }
        Ok(!self.holds(token)?)
    }

    fn holds(&self, token: &SessionToken) -> Result<bool, SessionOver> {
        let state = self.shared.state.borrow();
        match state.phase {
            Phase::Over(over) => Err(over),
            _ => Ok(state.saved.token == *token),
        }
    }
}

impl ClientSessionBuilder {
    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The pauses between attempts at a renewal: about `first`, then twice as long each time, up to `longest`. 100 ms and 5 s
    /// by default: several attempts must fit into the server's retry window.
    #[must_use]
    pub const fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.pauses = (first, longest);
        self
    }

    /// For how long an attempt at a renewal waits for its answer: 5 s by default.
    #[must_use]
    pub const fn attempt_timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Takes the session from its storage and begins to keep it. A renewal that an earlier process left under way is gone on
    /// with at once. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn open(self, storage: impl SessionStorage) -> Result<ClientSession, BoxError> {
        let saved = storage.load().await?;
        let interrupted = saved.pending_key.is_some();
        let shared = Arc::new(Shared {
            storage: Box::new(storage),
            endpoint: self.endpoint,
            clock: self.clock,
            pauses: self.pauses,
            patience: self.patience,
            state: watch::Sender::new(State {
                saved,
                phase: Phase::Steady,
            }),
        });
        if interrupted {
            shared.start_renewal();
        }
        tokio::spawn(keep(Arc::downgrade(&shared)));
        Ok(ClientSession { shared })
    }
}

/// Renews an idle session too, as long as somebody holds it.
async fn keep(session: Weak<Shared>) {
    while let Some(shared) = session.upgrade() {
        shared.renew_if_due();
        shared.renewal_ended().await;
        let due = shared.state.borrow().saved.renew_after.0.saturating_mul(1000);
        let left = Duration::from_millis(due.saturating_sub(shared.clock.now_millis()));
        drop(shared);
        // What is still due cannot be renewed.
        let pause = Some(left).filter(|left| !left.is_zero());
        tokio::time::sleep(pause.unwrap_or(LOOK_AT_CLOCK).min(LOOK_AT_CLOCK)).await;
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.borrow();
        f.debug_struct("ClientSession")
            .field("id", &state.saved.id)
            .field("expires_at", &state.saved.expires_at)
            .field("phase", &state.phase)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientSessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSessionBuilder").finish_non_exhaustive()
    }
}

type Pending<'a> = Pin<Box<dyn Future<Output = Result<SavedSession, BoxError>> + Send + 'a>>;

/// A [`SessionStorage`] whose type does not matter.
pub(super) trait Storage: Send + Sync {
    fn load(&self) -> Pending<'_>;
    fn replace<'a>(&'a self, expected: &'a SavedSession, next: &'a SavedSession) -> Pending<'a>;
}

impl<S: SessionStorage> Storage for S {
    fn load(&self) -> Pending<'_> {
        Box::pin(SessionStorage::load(self))
    }

    fn replace<'a>(&'a self, expected: &'a SavedSession, next: &'a SavedSession) -> Pending<'a> {
        Box::pin(SessionStorage::replace(self, expected, next))
    }
}
