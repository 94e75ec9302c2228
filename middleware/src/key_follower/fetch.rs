//! One fetch of the published keys.

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::task::JoinSet;
use tower::{BoxError, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

use super::{KeyFetchError, lifetime};
use crate::token::{PublishedKeys, VerifyingKey};

/// The longest body that is read, in bytes. That of a session server with two keys has about 400.
const MAX_BODY: usize = 64 * 1024;

/// The HTTP client of the fetches. It reads the responses completely.
type Http = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, KeyFetchError>;

/// Fetches the keys of one URL.
#[derive(Clone)]
pub(super) struct KeysUrl {
    http: Http,
    url: Uri,
}

/// The result of a fetch.
pub(super) struct Fetched {
    pub(super) keys: Vec<VerifyingKey>,
    /// How much longer the response is fresh.
    pub(super) freshness: Duration,
}

impl KeysUrl {
    pub(super) fn new<S, B>(http: S, url: Uri) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send,
    {
        let http = BoxCloneSyncService::new(service_fn(move |request| {
            let http = http.clone();
            async move {
                let unreachable = |error: S::Error| KeyFetchError::Unreachable(error.into());
                let response = http.oneshot(request).await.map_err(unreachable)?;
                let (parts, body) = response.into_parts();
                match Limited::new(body, MAX_BODY).collect().await {
                    Ok(body) => Ok(Response::from_parts(parts, body.to_bytes())),
                    Err(error) if error.is::<LengthLimitError>() => Err(KeyFetchError::TooLarge),
                    Err(error) => Err(KeyFetchError::Unreachable(error)),
                }
            }
        }));
        Self { http, url }
    }

    pub(super) fn check(&self, allow_plaintext: bool) -> Result<(), KeyFetchError> {
        match (self.url.scheme_str(), self.url.host()) {
            (Some("https"), Some(_)) => Ok(()),
            (Some("http"), Some(host)) if allow_plaintext || is_loopback(host) => Ok(()),
            (Some("http"), Some(_)) => Err(KeyFetchError::Plaintext),
            _ => Err(KeyFetchError::Url),
        }
    }

    /// Fetches the keys within a deadline. A panic of the HTTP client is an error.
    pub(super) async fn fetch(&self, deadline: Duration) -> Result<Fetched, KeyFetchError> {
        let this = self.clone();
        let mut task = JoinSet::new();
        // The set aborts the task when it is dropped.
        task.spawn(async move {
            let answered = tokio::time::timeout(deadline, this.get()).await;
            answered.unwrap_or(Err(KeyFetchError::Timeout))
        });
        match task.join_next().await {
            Some(Ok(fetched)) => fetched,
            _ => Err(KeyFetchError::Panicked),
        }
    }

    async fn get(self) -> Result<Fetched, KeyFetchError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.url;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        // A cache in between must not answer with keys from before a rotation (RFC 9111, section 5.2.1.4).
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let response = self.http.oneshot(request).await?;
        if response.status() != StatusCode::OK {
            return Err(KeyFetchError::Status(response.status()));
        }
        Ok(Fetched {
            keys: PublishedKeys::parse(response.body())?,
            freshness: lifetime::freshness(response.headers()),
        })
    }
}

/// True if the host of a URL is a loopback host: an address, or a name that never leaves it (RFC 6761, section 6.3).
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_another_machine_are_not_fetched_in_plain_text() {
        let http = service_fn(async |_| Ok::<_, BoxError>(Response::new(Full::<Bytes>::default())));
        for (url, allowed) in [
            ("https://sessions.example/v1/keys", true),
            ("http://127.0.0.1:3100/v1/keys", true),
            ("http://127.8.9.10/v1/keys", true),
            ("http://[::1]:3100/v1/keys", true),
            ("http://[::ffff:127.0.0.1]/v1/keys", true),
            ("http://LocalHost:3100/v1/keys", true),
            ("http://sessions.example/v1/keys", false),
            ("http://localhost.sessions.example/v1/keys", false),
            ("http://127.0.0.1.sessions.example/v1/keys", false),
            ("http://10.0.0.1/v1/keys", false),
            ("http://[2001:db8::1]/v1/keys", false),
        ] {
            let keys = KeysUrl::new(http, url.parse().unwrap());
            match keys.check(false) {
                Ok(()) => assert!(allowed, "{url}"),
                Err(KeyFetchError::Plaintext) => assert!(!allowed, "{url}"),
                Err(other) => panic!("{url}: {other}"),
            }
            assert!(keys.check(true).is_ok(), "{url}");
        }
    }
}
