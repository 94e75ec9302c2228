//! Requests to the session server: the check at the start, and renewals.

mod answer;

use std::{sync::Arc, time::Duration};

pub(super) use answer::{CheckAnswer, RenewalAnswer, problem_kind};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tower::{BoxError, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

use super::{
    error::OpenError,
    header::TokenHeader,
    http_time,
    server_clock::{Moment, ServerClock},
    storage::SavedSession,
    token_times::TokenTimes,
};
use crate::{
    clock::Timestamp,
    session::{IDEMPOTENCY_KEY, IdempotencyKey},
    token::SessionToken,
};

/// The longest response body that is read, in bytes. Those of a session server have less than 2,000.
pub(super) const MAX_ANSWER: usize = 64 * 1024;

/// The HTTP client for the requests of the session itself. It reads responses completely.
pub(super) type Http = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, BoxError>;

pub(super) struct SessionServer {
    http: Http,
    base: Uri,
    header: TokenHeader,
    clock: Arc<ServerClock>,
    timeout: Duration,
}

/// Turns a client with any response body into one that reads bodies completely. A body over [`MAX_ANSWER`] counts as empty.
pub(super) fn reading_answers<S, B>(http: S) -> Http
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    BoxCloneSyncService::new(service_fn(move |request| {
        let http = http.clone();
        async move {
            let (parts, body) = http.oneshot(request).await.map_err(Into::into)?.into_parts();
            let body = match Limited::new(body, MAX_ANSWER).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => Bytes::new(),
                Err(error) => return Err(error),
            };
            Ok(Response::from_parts(parts, body))
        }
    }))
}

impl SessionServer {
    /// # Errors
    /// When `base` is not a base URI.
    pub(super) fn new(
        http: Http,
        base: Uri,
        header: TokenHeader,
        clock: Arc<ServerClock>,
        timeout: Duration,
    ) -> Result<Self, OpenError> {
        let uri = without_credentials(&base);
        if base.scheme().is_none() || base.host().is_none() || base.query().is_some() {
            return Err(OpenError::ServerUri { uri });
        }
        Ok(Self {
            http,
            base,
            header,
            clock,
            timeout,
        })
    }

    /// Requests this session from the server, which does not change it.
    ///
    /// # Errors
    /// When the session cannot be renewed at this URI: the server redirects, or it is not this session's server.
    pub(super) async fn check(&self, session: &SavedSession) -> Result<CheckAnswer, OpenError> {
        let (response, _) = match self.send(Method::GET, "/v1/session", &session.token, None).await {
            Ok(answered) => answered,
            Err(error) => return Ok(CheckAnswer::Unavailable(error.to_string())),
        };
        let url = format!("{}/v1/session", base_path(&without_credentials(&self.base)));
        answer::interpret_check(&response, session.id, url)
    }

    /// Sends one request for a renewal.
    pub(super) async fn renew(&self, session: &SavedSession, key: &IdempotencyKey) -> RenewalAnswer {
        let path = format!("/v1/sessions/{}/renew", session.id);
        let (response, sent) = match self.send(Method::PUT, &path, &session.token, Some(key)).await {
            Ok(answered) => answered,
            Err(error) => {
                return RenewalAnswer::Retry {
                    reason: error.to_string(),
                    after: Duration::ZERO,
                };
            }
        };
        let after = http_time::retry_after(response.headers(), self.clock.now());
        let answer = answer::interpret_renewal(&response, session, after);
        if let (RenewalAnswer::TooEarly(_), Some(after)) = (&answer, after) {
            self.set_clock_by_early_renewal(&session.token, after, sent);
        }
        answer
    }

    /// The server says how long it takes until half of the token's lifetime has passed, which bounds its time: a proxy may have written
    /// `Date`. After a rotation the half is earlier than computed from the token, so a time from `Date` within the bound is kept.
    fn set_clock_by_early_renewal(&self, token: &SessionToken, after: Duration, sent: Moment) {
        let Some(times) = TokenTimes::read(token) else {
            return;
        };
        let now = Timestamp(times.renewable_from().0.saturating_sub(after.as_secs()));
        if now >= times.issued_at && !(times.issued_at..=now).contains(&self.clock.now()) {
            self.clock.set(now, sent);
        }
    }

    /// Sends a request, and sets the clock by the `Date` of its response. Also returns the time before the request.
    async fn send(
        &self,
        method: Method,
        path: &str,
        token: &SessionToken,
        key: Option<&IdempotencyKey>,
    ) -> Result<(Response<Bytes>, Moment), BoxError> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", base_path(&self.base.to_string())).parse()?;
        self.header.insert(request.headers_mut(), token)?;
        if let Some(key) = key {
            let mut key = HeaderValue::from_str(key.expose())?;
            key.set_sensitive(true);
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        }
        let sent = self.clock.moment();
        let answered = tokio::time::timeout(self.timeout, self.http.clone().oneshot(request));
        let response = answered
            .await
            .map_err(|_| "no answer in time")?
            .map_err(|error| with_causes(&*error))?;
        // Other responses may come from a proxy, which has its own clock.
        let of_the_server = response.status() == StatusCode::OK || problem_kind(response.body()).is_some();
        if of_the_server && let Some(date) = http_time::date(response.headers()) {
            self.clock.set(date, sent);
            if let Some(times) = TokenTimes::read(token) {
                self.clock.advance_to(times.issued_at);
            }
        }
        Ok((response, sent))
    }
}

fn base_path(base: &str) -> &str {
    base.trim_end_matches('/')
}

/// A URI for messages, without user name and password.
fn without_credentials(uri: &Uri) -> String {
    let text = uri.to_string();
    let user = uri
        .authority()
        .and_then(|authority| authority.as_str().rsplit_once('@'));
    match user {
        Some((user, _)) => text.replacen(&format!("{user}@"), "", 1),
        None => text,
    }
}

/// An error's text and those of its causes, which HTTP clients leave out.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
