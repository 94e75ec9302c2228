//! The builder that opens a [`ClientSession`] from its storage.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use tokio::sync::watch;
use tower::{BoxError, Service};

use super::{
    backoff::Backoff,
    error::OpenError,
    header::TokenHeader,
    renewal::{TOKEN_NOT_ACCEPTED, renew_when_due},
    server::{CheckAnswer, Http, SessionServer, reading_answers},
    server_clock::ServerClock,
    session::ClientSession,
    state::{Shared, State},
    storage::{SavedSession, SessionStorage},
    token_times::TokenTimes,
};
use crate::clock::{Clock, SystemClock};

/// The settings of a [`ClientSession`], and the HTTP client that renews it.
pub struct ClientSessionBuilder {
    http: Http,
    server: Uri,
    header: Result<TokenHeader, http::Error>,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    attempt_timeout: Duration,
    check_server: bool,
}

impl ClientSession {
    /// Starts with the HTTP client that renews the session, and the session server's base URI, such as
    /// `https://sessions.example`.
    ///
    /// The client must not follow redirects, because it would send the token to the target.
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
            http: reading_answers(http),
            server,
            header: Ok(TokenHeader::default()),
            clock: Arc::new(SystemClock),
            backoff: Backoff {
                initial: Duration::from_millis(100),
                max: Duration::from_secs(5),
            },
            attempt_timeout: Duration::from_secs(5),
            check_server: true,
        }
    }
}

impl ClientSessionBuilder {
    /// Sends the token as `Bearer <token>` in this header, for deployments in which a proxy uses `Authorization` for itself.
    /// The layer then does not change the `Authorization` of requests. The servers need the same setting.
    ///
    /// ```no_run
    /// # async fn example(http: impl tower::Service<
    /// #     http::Request<http_body_util::Full<bytes::Bytes>>,
    /// #     Response = http::Response<http_body_util::Full<bytes::Bytes>>,
    /// #     Error = tower::BoxError,
    /// #     Future: Send,
    /// # > + Clone + Send + Sync + 'static) -> Result<(), tower::BoxError> {
    /// use tower_session_auth::client::{ClientSession, FileStorage};
    ///
    /// let session = ClientSession::builder(http, "https://sessions.example".parse()?)
    ///     .header("x-session-token")
    ///     .open(FileStorage::new("session.json"))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn header<H: TryInto<HeaderName, Error: Into<http::Error>>>(self, name: H) -> Self {
        self.header_with(name, true)
    }

    /// Like [`header`](Self::header), but sends the token alone, without the `Bearer` scheme.
    #[must_use]
    pub fn header_without_scheme<H: TryInto<HeaderName, Error: Into<http::Error>>>(self, name: H) -> Self {
        self.header_with(name, false)
    }

    fn header_with<H: TryInto<HeaderName, Error: Into<http::Error>>>(
        mut self,
        name: H,
        scheme: bool,
    ) -> Self {
        self.header = name
            .try_into()
            .map(|name| TokenHeader { name, scheme })
            .map_err(Into::into);
        self
    }

    /// Replaces the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the pauses between attempts at a renewal. The first is at most `initial`. Each further one is twice as long, up to
    /// `max`. The actual pause is random, between half of that and all of it.
    ///
    /// The default is 100 ms and 5 s. Several attempts must fit into the server's retry window.
    #[must_use]
    pub const fn backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.backoff = Backoff { initial, max };
        self
    }

    /// The time limit for one response of the session server or the storage: 5 s by default.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Opens the session without a request to the server, for servers that have only the renewal endpoint. The first renewal
    /// then reveals a wrong URI. A wrong local clock is also corrected only at the first renewal.
    #[must_use]
    pub const fn without_server_check(mut self) -> Self {
        self.check_server = false;
        self
    }

    /// Loads the session from its storage, and starts to renew it in the background. A renewal that an earlier process has
    /// begun continues at once. Requires a Tokio runtime.
    ///
    /// First checks that a renewed session could be saved, and that the server is this session's server (`GET /v1/session`). A
    /// server that cannot be reached or answers 5xx is only logged: it may start later than the agent.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(self, storage: impl SessionStorage) -> Result<ClientSession, OpenError> {
        let saved = storage.load().await.map_err(OpenError::Load)?;
        let header = self.header.map_err(OpenError::Header)?;
        header.value(&saved.token).map_err(|_| OpenError::Token)?;
        storage.check().await.map_err(OpenError::Save)?;

        let clock = Arc::new(ServerClock::new(self.clock));
        if let Some(times) = TokenTimes::read(&saved.token) {
            clock.advance_to(times.issued_at);
        }
        let server = SessionServer::new(
            self.http,
            self.server,
            header.clone(),
            clock.clone(),
            self.attempt_timeout,
        )?;
        // The token of an interrupted renewal may be replaced already. Only the renewal itself may send it.
        let interrupted = saved.pending_key.is_some();
        let unchecked = self.check_server && !interrupted && !is_confirmed(&server, &saved).await?;

        let handle = Arc::new(());
        let shared = Arc::new(Shared {
            storage: Box::new(storage),
            server,
            header,
            clock,
            backoff: self.backoff,
            attempt_timeout: self.attempt_timeout,
            state: watch::Sender::new(State::new(saved)),
            handles: Arc::downgrade(&handle),
        });
        if interrupted {
            shared.start_renewal();
        }
        tokio::spawn(renew_when_due(Arc::downgrade(&shared), unchecked));
        Ok(ClientSession {
            shared,
            _handle: handle,
        })
    }
}

/// Requests the session from the server. Returns false if no session server has answered.
async fn is_confirmed(server: &SessionServer, saved: &SavedSession) -> Result<bool, OpenError> {
    match server.check(saved).await? {
        CheckAnswer::Confirmed => Ok(true),
        CheckAnswer::TokenNotAccepted => {
            tracing::warn!(TOKEN_NOT_ACCEPTED);
            Ok(true)
        }
        CheckAnswer::Unavailable(reason) => {
            tracing::warn!(reason, "the session server does not answer yet");
            Ok(false)
        }
    }
}

impl fmt::Debug for ClientSessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSessionBuilder").finish_non_exhaustive()
    }
}
