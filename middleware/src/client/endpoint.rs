//! The renewal endpoint of the session server, and what its answers mean.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use tower::{BoxError, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

use super::{SavedSession, SessionOver};
use crate::{
    error::ErrorKind,
    session::{IDEMPOTENCY_KEY, IdempotencyKey},
    token::SessionToken,
};

/// The longest answer that is read, in bytes; ours have less than 2,000.
pub(super) const MAX_ANSWER: usize = 64 * 1024;

pub(super) struct Endpoint {
    http: BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, BoxError>,
    base: String,
}

/// What an answer means for a renewal.
#[derive(Debug)]
pub(super) enum Answer {
    Renewed(SavedSession),
    /// It can be renewed after this many seconds.
    TooEarly(u64),
    /// The session goes on with another token.
    Mismatch,
    /// It cannot be renewed any more; its token stays good until it expires.
    LimitReached,
    Over(SessionOver),
    /// There is no final answer yet.
    Again {
        why: String,
        after: Duration,
    },
}

impl Endpoint {
    pub(super) fn new<S, B>(http: S, base: &Uri) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send,
    {
        let whole = service_fn(move |request| {
            let http = http.clone();
            async move {
                let (parts, body) = http.oneshot(request).await.map_err(Into::into)?.into_parts();
                let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
                Ok(Response::from_parts(parts, body))
            }
        });
        Self {
            http: BoxCloneSyncService::new(whole),
            base: base.to_string().trim_end_matches('/').to_owned(),
        }
    }

    /// Whether a renewal of this session can be sent at all.
    pub(super) fn check(&self, session: &SavedSession) -> Result<(), BoxError> {
        let base: Uri = self.base.parse()?;
        if base.scheme().is_none() || base.host().is_none() || base.query().is_some() {
            return Err(format!("{base}: not a base URI such as https://sessions.example").into());
        }
        bearer(&session.token).map_err(|_| "the saved token is no token")?;
        Ok(())
    }

    pub(super) async fn renew(
        &self,
        session: &SavedSession,
        key: &IdempotencyKey,
        timeout: Duration,
    ) -> Answer {
        let again = |why: String| Answer::Again {
            why,
            after: Duration::ZERO,
        };
        let mut request = Request::new(Full::default());
        *request.method_mut() = http::Method::PUT;
        match format!("{}/v1/sessions/{}/renew", self.base, session.id).parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return again(format!("{}: {error}", self.base)),
        }
        let (Ok(bearer), Ok(mut key)) = (bearer(&session.token), HeaderValue::from_str(key.expose())) else {
            return again("the saved token is no token".to_owned());
        };
        key.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        request.headers_mut().insert(IDEMPOTENCY_KEY, key);

        match tokio::time::timeout(timeout, self.http.clone().oneshot(request)).await {
            Err(_) => again("no answer in time".to_owned()),
            Ok(Err(error)) => again(with_causes(&*error)),
            Ok(Ok(response)) => interpret(&response, session),
        }
    }
}

/// The header value of a token.
pub(super) fn bearer(token: &SessionToken) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The kind that a problem document names.
pub(super) fn problem(body: &[u8]) -> Option<ErrorKind> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    ErrorKind::ALL
        .iter()
        .copied()
        .find(|kind| kind.code() == problem.code)
}

fn interpret(response: &Response<Bytes>, session: &SavedSession) -> Answer {
    let after = retry_after(response.headers());
    if response.status() == StatusCode::OK {
        return match serde_json::from_slice::<SavedSession>(response.body()) {
            Ok(renewed) if renewed.id == session.id && renewed.token != session.token => {
                Answer::Renewed(SavedSession {
                    pending_key: None,
                    ..renewed
                })
            }
            _ => Answer::Again {
                why: "a 200 that is no renewed session".to_owned(),
                after: Duration::ZERO,
            },
        };
    }
    let final_status = matches!(
        response.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    let kind = problem(response.body()).filter(|_| final_status);
    match kind {
        Some(ErrorKind::RenewalTooEarly) => Answer::TooEarly(after.map_or(1, |after| after.as_secs().max(1))),
        Some(ErrorKind::SessionRenewalMismatch) => Answer::Mismatch,
        Some(ErrorKind::RenewalLimitReached) => Answer::LimitReached,
        _ => match kind.and_then(SessionOver::by) {
            Some(over) => Answer::Over(over),
            None => Answer::Again {
                why: match kind {
                    Some(kind) => kind.code().to_owned(),
                    None => response.status().to_string(),
                },
                after: after.unwrap_or_default(),
            },
        },
    }
}

/// An error's text and those of its causes, which HTTP clients leave out.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
