use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use tower::{BoxError, Service};

use super::{KeyFetchError, KeyFollower, fetch::KeysUrl};
use crate::token::{TokenVerifier, VerifyingKey};

/// The shortest time of a setting, so that no setting makes an endless loop of requests.
const SHORTEST: Duration = Duration::from_millis(100);

/// The settings of a [`KeyFollower`].
#[must_use = "the builder does nothing until the follower is started"]
pub struct KeyFollowerBuilder {
    url: KeysUrl,
    verifier: TokenVerifier,
    limits: Limits,
    allow_plaintext: bool,
}

/// The times of a follower.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The bounds of the time between two fetches.
    pub(super) refresh: (Duration, Duration),
    pub(super) max_staleness: Duration,
    pub(super) early_refresh_interval: Duration,
    pub(super) timeout: Duration,
    pub(super) max_wait: Duration,
}

impl KeyFollower {
    /// Starts with an HTTP client and the URL of the keys, such as `https://sessions.example/v1/keys`.
    ///
    /// The client must not follow redirects, and must check the certificate of the server. An `http` URL is accepted only for a
    /// loopback host: see [`allow_plaintext`](KeyFollowerBuilder::allow_plaintext).
    pub fn builder<S, B>(http: S, url: Uri) -> KeyFollowerBuilder
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send,
    {
        KeyFollowerBuilder {
            url: KeysUrl::new(http, url),
            verifier: TokenVerifier::new([]),
            limits: Limits {
                refresh: (Duration::from_secs(10), Duration::from_secs(600)),
                max_staleness: Duration::from_secs(86_400),
                early_refresh_interval: Duration::from_secs(10),
                timeout: Duration::from_secs(5),
                max_wait: Duration::from_secs(2),
            },
            allow_plaintext: false,
        }
    }
}

impl KeyFollowerBuilder {
    /// Also accepts an `http` URL whose host is not a loopback host. An attacker on the network can then replace the keys, and sign tokens
    /// that are accepted. Call it only if something else protects the connection, such as a service mesh.
    pub fn allow_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// Sets the verifier whose keys follow: its prefix, issuer, audience, header and cache. Its own keys are replaced. Its clones
    /// follow too, but do not keep the follower running.
    pub fn verifier(mut self, verifier: TokenVerifier) -> Self {
        self.verifier = verifier;
        self
    }

    /// Sets the bounds of the time between two fetches: 10 s and 10 min. They limit the `max-age` of the server. `min` is at
    /// least 100 ms.
    ///
    /// A rotation loses no request while `max` is at most 10 min, the time that `session-auth-server keys rotate` waits.
    pub fn refresh_bounds(mut self, min: Duration, max: Duration) -> Self {
        let min = min.max(SHORTEST);
        self.limits.refresh = (min, max.max(min));
        self
    }

    /// Sets how long keys are used without a confirmation by the server: 24 h. After that, every token is rejected until a fetch
    /// succeeds. `Duration::MAX` keeps the keys for ever. The keys are fetched at least twice in this time.
    pub fn max_staleness(mut self, age: Duration) -> Self {
        self.limits.max_staleness = age.max(2 * SHORTEST);
        self
    }

    /// Sets the least time between a fetch and an early one, which a token of an unknown key starts: 10 s. It is at least 100 ms.
    pub fn early_refresh_interval(mut self, interval: Duration) -> Self {
        self.limits.early_refresh_interval = interval.max(SHORTEST);
        self
    }

    /// Sets the deadline of one fetch: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets how long a request with a token of an unknown key waits for a fetch: 2 s.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.limits.max_wait = wait;
        self
    }

    /// Fetches the keys once, and starts to follow them. Requires a Tokio runtime.
    ///
    /// # Errors
    /// If the URL cannot be used, or the first fetch fails. Call it again, or let the process restart.
    pub async fn start(self) -> Result<KeyFollower, KeyFetchError> {
        self.url.check(self.allow_plaintext)?;
        let started = tokio::time::Instant::now();
        let fetched = self.url.fetch(self.limits.timeout).await?;
        self.verifier.set_keys(fetched.keys);
        let next = Some(fetched.freshness);
        Ok(KeyFollower::new(
            self.url,
            self.verifier,
            self.limits.consistent(),
            started,
            next,
        ))
    }

    /// Starts to follow the keys without waiting for the first fetch. These keys are used until it succeeds, for at most
    /// [`max_staleness`](Self::max_staleness). For a service that must start while the session server is down. Requires a Tokio runtime.
    ///
    /// # Errors
    /// [`KeyFetchError::Url`], [`KeyFetchError::Plaintext`].
    pub fn start_with(
        self,
        keys: impl IntoIterator<Item = VerifyingKey>,
    ) -> Result<KeyFollower, KeyFetchError> {
        self.url.check(self.allow_plaintext)?;
        self.verifier.set_keys(keys);
        let started = tokio::time::Instant::now();
        Ok(KeyFollower::new(
            self.url,
            self.verifier,
            self.limits.consistent(),
            started,
            None,
        ))
    }
}

impl Limits {
    /// A fetch is due at least twice before the keys are too old.
    fn consistent(mut self) -> Self {
        let (min, max) = self.refresh;
        let max = max.min(self.max_staleness / 2);
        self.refresh = (min.min(max), max);
        self
    }
}

impl fmt::Debug for KeyFollowerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFollowerBuilder")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
