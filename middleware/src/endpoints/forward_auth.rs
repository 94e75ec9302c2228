//! `/v1/auth`: the response to a proxy that asks whether a request is admitted (forward auth).

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use tower::Service;

use super::{
    handler::{extension, respond, session_of},
    output::Answer,
    routes::Access,
    state::State,
};
use crate::{
    error::AuthError, require_scope::ScopeRequirement, session_auth::AuthenticatedSession,
    store::SessionStore,
};

/// The path of the endpoint. Every path below it is the endpoint too, since some proxies append the path of the request.
const PATH: &str = "/v1/auth";

const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
const AGENT_ID: HeaderName = HeaderName::from_static("x-agent-id");
const EXPIRES_AT: HeaderName = HeaderName::from_static("x-session-expires-at");
const SCOPES: HeaderName = HeaderName::from_static("x-session-scopes");

/// True for `/v1/auth` and every path below it: a request that a reverse proxy sends about the request of its own client.
#[must_use]
pub fn is_forward_auth(path: &str) -> bool {
    path.strip_prefix(PATH)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers the requests that the layer of sessions has admitted.
pub(super) struct ForwardAuth<S: SessionStore>(pub(super) Arc<State<S>>);

impl<S: SessionStore> Clone for ForwardAuth<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: SessionStore, B> Service<Request<B>> for ForwardAuth<S> {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = extension(request.extensions()).and_then(|session| admit(session, request.uri()));
        let session = session_of(request.extensions());
        ready(Ok(respond(
            answer,
            session,
            Access::Session,
            &self.0,
            request.headers(),
        )))
    }
}

/// The response to an admitted request, with the session in its headers. The method has no effect, and no body is read.
///
/// A session without scopes has an empty `X-Session-Scopes`, so that the proxy replaces a header of the client.
fn admit(session: &AuthenticatedSession, uri: &Uri) -> Answer {
    if let Some(required) = required_scopes(uri)? {
        required.check(&session.scopes)?;
    }
    let mut response = Response::new(Full::<Bytes>::default());
    let headers = response.headers_mut();
    for (name, value) in identity(session) {
        // Ids, numbers and scopes are visible ASCII characters and spaces.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The headers that describe a session to the service behind a proxy. The scopes are empty if there are none.
pub(super) fn identity(session: &AuthenticatedSession) -> [(HeaderName, String); 4] {
    [
        (SESSION_ID, session.session_id.to_string()),
        (AGENT_ID, session.agent_id.to_string()),
        (EXPIRES_AT, session.expires_at.0.to_string()),
        (SCOPES, session.scopes.to_string()),
    ]
}

/// The scopes that the parameter `scope` demands. If it is repeated, all are demanded. Other parameters belong to the client's request.
fn required_scopes(uri: &Uri) -> Result<Option<ScopeRequirement>, AuthError> {
    let Some(query) = uri.query() else {
        return Ok(None);
    };
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    if parameters.iter().any(|(name, _)| is_misspelled(name)) {
        return Err(AuthError::invalid_field("scope", "is misspelled"));
    }
    let demands = parameters.iter().filter(|(name, _)| name == "scope");
    // An empty value is an error, because the proxy would otherwise demand nothing.
    ScopeRequirement::demanded(demands.map(|(_, value)| &**value))
        .map_err(|error| AuthError::invalid_field("scope", error.to_string()))
}

/// True for a name that is meant to be `scope`, such as `scopes`, `Scope` or `scope[]`. Such a parameter would demand nothing.
fn is_misspelled(name: &str) -> bool {
    let spelled = name.trim_start_matches('?').to_ascii_lowercase();
    let singular = spelled.split('[').next().unwrap_or_default();
    name != "scope" && matches!(singular, "scope" | "scopes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        test_support::{claims, record},
    };

    fn admit_with(own: &str, query: &str) -> Result<Response<Full<Bytes>>, ErrorKind> {
        let mut session = AuthenticatedSession::new(&record(&claims()), &claims());
        session.scopes = own.parse().unwrap_or_default();
        let uri = format!("/v1/auth{query}").parse().unwrap();
        admit(&session, &uri).map_err(|error| error.kind())
    }

    #[test]
    fn headers_describe_the_session() {
        let response = admit_with("a b", "").unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-session-id"), claims().session_id.to_string());
        assert_eq!(header("x-agent-id"), claims().agent_id.to_string());
        assert_eq!(header("x-session-expires-at"), claims().expires_at.0.to_string());
        assert_eq!(header("x-session-scopes"), "a b");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(admit_with("", "").unwrap().headers()["x-session-scopes"], "");
    }

    #[test]
    fn every_demanded_scope_is_required() {
        for (own, query, admitted) in [
            ("a b", "?scope=a", true),
            ("a b", "?scope=a%20b", true),
            ("a b", "?scope=b+a", true),
            ("a b", "?scope=a&scope=b", true),
            ("a b", "?x=1&y", true),
            ("a", "?scope=a%20b", false),
            ("a", "?scope=a&scope=b", false),
            ("a", "?scope=b&scope=a", false),
            ("a", "?scope=b", false),
            ("", "?scope=a", false),
        ] {
            let expected = if admitted {
                Ok(200)
            } else {
                Err(ErrorKind::InsufficientScope)
            };
            let found = admit_with(own, query).map(|response| response.status().as_u16());
            assert_eq!(found, expected, "{own} {query}");
        }
    }

    #[test]
    fn empty_or_malformed_demand_admits_nobody() {
        for query in [
            "?scope=",
            "?scope",
            "?scope=a&scope=",
            "?scope=a%20%20b",
            "?scope=%22",
            "?scope=a%0Ab",
            "?Scope=a",
            "?scope[]=a",
            "?scopes=a",
            "?Scopes[0]=a",
            "??scope=a",
        ] {
            assert_eq!(
                admit_with("a b", query).unwrap_err(),
                ErrorKind::ValidationFailed,
                "{query}"
            );
        }
    }

    #[test]
    fn paths_below_the_endpoint_belong_to_it() {
        for path in ["/v1/auth", "/v1/auth/", "/v1/auth/a/b", "/v1/auth//"] {
            assert!(is_forward_auth(path), "{path}");
        }
        for path in ["/v1/authx", "/v1/aut", "/v1/Auth", "/x/v1/auth"] {
            assert!(!is_forward_auth(path), "{path}");
        }
    }
}
