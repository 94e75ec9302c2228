//! The session that a process holds.

use std::{
    fmt,
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
    ClientSessionBuilder, ClientSessionLayer, SessionOver,
    backoff::Backoff,
    endpoint::Endpoint,
    renewal::{Phase, State},
    saved::Storage,
};
use crate::{
    clock::{Clock, Timestamp},
    error::ErrorKind,
    id::SessionId,
    token::SessionToken,
};

/// How often the clock is looked at when nothing else happens: it may be set, and machines sleep.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(10);

/// How long after the renewal was due a sibling has surely made it, and this process only slept.
const SURELY_RENEWED: u64 = 30;

/// The session of this process. Clones share it. See [`client`](super) for the rules.
#[derive(Clone)]
pub struct ClientSession {
    pub(super) shared: Arc<Shared>,
    /// One for each handle: without any, nobody waits for a renewal.
    pub(super) _handle: Arc<()>,
}

pub(super) struct Shared {
    pub(super) storage: Box<dyn Storage>,
    pub(super) endpoint: Endpoint,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) backoff: Backoff,
    pub(super) attempt_timeout: Duration,
    pub(super) state: watch::Sender<State>,
    pub(super) handles: Weak<()>,
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
        ClientSessionBuilder::new(Endpoint::new(http, &server))
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

    /// When its token expires, unless it is renewed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.shared.state.borrow().saved.expires_at
    }

    /// The token to send now. When the renewal is due it begins in the background; only a token that has expired is waited
    /// for.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn token(&self) -> Result<SessionToken, SessionOver> {
        self.shared.look_for_siblings().await;
        let mut asked = false;
        loop {
            if !asked {
                self.shared.renew_if_due();
            }
            let state = self.shared.state.borrow().clone();
            match state.phase {
                Phase::Over(over) => return Err(over),
                // The token in use is dead already.
                Phase::Saving => {
                    self.shared.renewal_ended().await;
                    continue;
                }
                _ => {}
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

    /// Reads the storage again, and goes on with what is there: for the application that has put a new session there. A session
    /// that is over is tried again.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn reload(&self) -> Result<(), BoxError> {
        let token = self.shared.state.borrow().saved.token.clone();
        if !self.shared.saved_anew(&token).await? {
            self.shared.revive(&token);
        }
        Ok(())
    }

    /// What becomes of a request whose token was refused: whether to send it again, with another token.
    pub(super) async fn refused(&self, token: &SessionToken, kind: ErrorKind) -> Result<bool, SessionOver> {
        if !self.holds(token)? {
            return Ok(true);
        }
        if matches!(self.shared.saved_anew(token).await, Ok(true)) {
            return Ok(true);
        }
        if kind == ErrorKind::SessionRevoked {
            self.shared.settle(token, Phase::Over(SessionOver::Revoked));
        } else {
            // It is for the session server to say what became of it: this service may look into another store.
            self.shared.start_renewal();
            self.shared.renewal_ended().await;
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

impl Shared {
    fn revive(&self, token: &SessionToken) {
        self.state.send_if_modified(|state| {
            let over = matches!(state.phase, Phase::Over(_)) && state.saved.token == *token;
            if over {
                *state = State::new(state.saved.clone());
            }
            over
        });
    }

    /// A token that was replaced long ago would be taken for a stolen copy.
    async fn look_for_siblings(&self) {
        let state = self.state.borrow().clone();
        let since = self.clock.now().since(state.saved.renew_after);
        if state.phase == Phase::Steady && state.may_begin() && since >= SURELY_RENEWED {
            // What fails here, the renewal tries again.
            let _ = self.saved_anew(&state.saved.token).await;
        }
    }
}

/// Renews an idle session too, as long as somebody holds it.
pub(super) async fn keep(session: Weak<Shared>) {
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
