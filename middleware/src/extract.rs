//! Extractors and responses for axum 0.8 (feature `axum`).
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_session_auth::{AuthenticatedSession, KeySet, MemoryStore, SessionAuthority, SigningKey};
//!
//! async fn hello(session: AuthenticatedSession) -> String {
//!     format!("hello, agent {}", session.agent_id)
//! }
//!
//! async fn front(session: Option<AuthenticatedSession>) -> &'static str {
//!     if session.is_some() { "hello again" } else { "hello, stranger" }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let authority = SessionAuthority::builder(KeySet::single(SigningKey::generate()?), MemoryStore::new()).build()?;
//! let app: Router = Router::new()
//!     .route("/hello", get(hello))
//!     .route_layer(authority.layer())
//!     .merge(Router::new().route("/", get(front)).route_layer(authority.layer().optional()));
//! # let _ = app;
//! # Ok(())
//! # }
//! ```

use std::{marker::PhantomData, ops::Deref};

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::request::Parts;
use http_body_util::Full;

use crate::{
    error::{AuthError, ErrorKind, MissingLayer},
    require_scope::ScopeRequirement,
    response::{Rejections, problem_response},
    session_auth::{AuthenticatedSession, NoSession, PresentedSession},
};

/// The rejection of an extractor. Its response is that of the layer around the route: a problem document by default.
pub struct SessionRejection(Box<Rejected>);

struct Rejected {
    error: AuthError,
    response: http::Response<Full<Bytes>>,
}

impl SessionRejection {
    fn new(error: AuthError, rejections: &Rejections, request: &Parts) -> Self {
        let response = rejections.respond(&error, request);
        Self(Box::new(Rejected { error, response }))
    }

    /// The reason of the rejection.
    #[must_use]
    pub fn error(&self) -> &AuthError {
        &self.0.error
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        self.0.response.map(Body::new)
    }
}

impl std::fmt::Debug for SessionRejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SessionRejection").field(&self.0.error).finish()
    }
}

/// A problem document with the realm `session`. It does not repeat the request id: use [`problem_response`] for that.
impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        self.log();
        problem_response(&self, "session", &http::HeaderMap::new()).map(Body::new)
    }
}

/// The session of the request. Without one, the rejection is a 401 if an [optional](crate::SessionAuthLayer::optional) layer
/// admitted the request, and a 500 if no layer is around the route.
impl<S: Send + Sync> FromRequestParts<S> for AuthenticatedSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        match session(parts)? {
            Some(session) => Ok(session),
            None => Err(missing_session(parts)),
        }
    }
}

/// The session of the request, if it has one. The rejection is a 500 if no layer is around the route.
impl<S: Send + Sync> OptionalFromRequestParts<S> for AuthenticatedSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        session(parts)
    }
}

/// The session that a [`RenewalLayer`](crate::session_auth::RenewalLayer) presents.
impl<S: Send + Sync> FromRequestParts<S> for PresentedSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| missing_layer("RenewalLayer", parts))
    }
}

/// The scopes that a handler requires: see [`Scoped`].
pub trait RequiredScopes {
    /// The scopes, with one space between two (RFC 6749, section 3.3). An invalid text rejects every request with 500
    /// `INTERNAL_ERROR`.
    const SCOPES: &'static str;

    /// True if one of the scopes is enough. By default, all are required.
    const ANY: bool = false;
}

/// The session of the request, which has the [required scopes](RequiredScopes).
///
/// Without one of them, the rejection is 403 `INSUFFICIENT_SCOPE`. Without a session, it is that of [`AuthenticatedSession`].
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_session_auth::extract::{RequiredScopes, Scoped};
///
/// struct ReadReports;
///
/// impl RequiredScopes for ReadReports {
///     const SCOPES: &'static str = "reports:read";
/// }
///
/// async fn reports(session: Scoped<ReadReports>) -> String {
///     format!("the reports for agent {}", session.agent_id)
/// }
///
/// let app: Router = Router::new().route("/reports", get(reports));
/// # let _ = app;
/// ```
pub struct Scoped<R> {
    session: AuthenticatedSession,
    required: PhantomData<fn() -> R>,
}

impl<R> Scoped<R> {
    /// The session.
    #[must_use]
    pub fn into_session(self) -> AuthenticatedSession {
        self.session
    }
}

impl<R> Deref for Scoped<R> {
    type Target = AuthenticatedSession;

    fn deref(&self) -> &AuthenticatedSession {
        &self.session
    }
}

impl<R> std::fmt::Debug for Scoped<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Scoped").field(&self.session).finish()
    }
}

impl<R: RequiredScopes, S: Send + Sync> FromRequestParts<S> for Scoped<R> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let session = session(parts)?.ok_or_else(|| missing_session(parts))?;
        let requirement = if R::ANY {
            ScopeRequirement::any(R::SCOPES)
        } else {
            ScopeRequirement::all(R::SCOPES)
        };
        let invalid = |invalid| AuthError::new(ErrorKind::InternalError).with_internal_cause(invalid);
        let checked = requirement
            .map_err(invalid)
            .and_then(|required| required.check(&session.scopes));
        if let Err(error) = checked {
            let error = error.with_session(session.session_id, session.agent_id);
            let default = Rejections::default();
            let rejections = session.layer.0.as_deref().unwrap_or(&default);
            return Err(SessionRejection::new(error, rejections, parts));
        }
        Ok(Self {
            session,
            required: PhantomData,
        })
    }
}

fn session(parts: &Parts) -> Result<Option<AuthenticatedSession>, SessionRejection> {
    match parts.extensions.get::<AuthenticatedSession>() {
        Some(session) => Ok(Some(session.clone())),
        None if parts.extensions.get::<NoSession>().is_some() => Ok(None),
        None => Err(missing_layer("SessionAuthLayer", parts)),
    }
}

/// The rejection of a request without a token that an optional layer admitted.
fn missing_session(parts: &Parts) -> SessionRejection {
    match parts.extensions.get::<NoSession>() {
        Some(NoSession { error, rejections }) => SessionRejection::new(error.clone(), rejections, parts),
        None => missing_layer("SessionAuthLayer", parts),
    }
}

fn missing_layer(layer: &'static str, parts: &Parts) -> SessionRejection {
    SessionRejection::new(MissingLayer(layer).into(), &Rejections::default(), parts)
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};

    use super::*;
    use crate::test_support::{claims, record};

    fn parts() -> Parts {
        Request::new(()).into_parts().0
    }

    async fn required(parts: &mut Parts) -> Result<AuthenticatedSession, StatusCode> {
        <AuthenticatedSession as FromRequestParts<()>>::from_request_parts(parts, &())
            .await
            .map_err(|rejection| rejection.into_response().status())
    }

    async fn optional(parts: &mut Parts) -> Result<Option<AuthenticatedSession>, StatusCode> {
        <AuthenticatedSession as OptionalFromRequestParts<()>>::from_request_parts(parts, &())
            .await
            .map_err(|rejection| rejection.into_response().status())
    }

    #[tokio::test]
    async fn session_of_the_layer_is_extracted() {
        let mut parts = parts();
        let session = AuthenticatedSession::new(&record(&claims()), &claims());
        parts.extensions.insert(session.clone());
        assert_eq!(required(&mut parts).await, Ok(session.clone()));
        assert_eq!(optional(&mut parts).await, Ok(Some(session)));
    }

    #[tokio::test]
    async fn request_without_a_token_has_no_session() {
        let mut parts = parts();
        parts.extensions.insert(NoSession {
            error: AuthError::missing_token(),
            rejections: Rejections::default().into(),
        });
        assert_eq!(optional(&mut parts).await, Ok(None));
        assert_eq!(required(&mut parts).await, Err(StatusCode::UNAUTHORIZED));
    }

    struct Required;

    impl RequiredScopes for Required {
        const SCOPES: &'static str = "a b";
    }

    struct OneOf;

    impl RequiredScopes for OneOf {
        const SCOPES: &'static str = "a b";
        const ANY: bool = true;
    }

    struct Nothing;

    impl RequiredScopes for Nothing {
        const SCOPES: &'static str = "";
    }

    async fn scoped<R: RequiredScopes>(scopes: &str) -> u16 {
        let mut parts = parts();
        let mut session = AuthenticatedSession::new(&record(&claims()), &claims());
        session.scopes = scopes.parse().unwrap_or_default();
        parts.extensions.insert(session);
        let extracted = <Scoped<R> as FromRequestParts<()>>::from_request_parts(&mut parts, &()).await;
        extracted.map_or_else(|rejection| rejection.into_response().status().as_u16(), |_| 200)
    }

    #[tokio::test]
    async fn session_without_the_required_scopes_is_rejected() {
        assert_eq!(scoped::<Required>("b a c").await, 200);
        assert_eq!(scoped::<Required>("a").await, 403);
        assert_eq!(scoped::<Required>("").await, 403);
        assert_eq!(scoped::<OneOf>("c b").await, 200);
        assert_eq!(scoped::<OneOf>("c").await, 403);
        assert_eq!(scoped::<Nothing>("a").await, 500);
    }

    #[tokio::test]
    async fn scopes_without_a_session_are_a_401_or_a_500() {
        let extract = async |parts: &mut Parts| {
            let scoped = <Scoped<Required> as FromRequestParts<()>>::from_request_parts(parts, &()).await;
            scoped.unwrap_err().into_response().status()
        };
        assert_eq!(extract(&mut parts()).await, StatusCode::INTERNAL_SERVER_ERROR);
        let mut anonymous = parts();
        anonymous.extensions.insert(NoSession {
            error: AuthError::missing_token(),
            rejections: Rejections::default().into(),
        });
        assert_eq!(extract(&mut anonymous).await, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn route_without_the_layer_is_a_500_and_never_admits() {
        assert_eq!(
            required(&mut parts()).await,
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        );
        assert_eq!(
            optional(&mut parts()).await,
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        );
        let presented =
            <PresentedSession as FromRequestParts<()>>::from_request_parts(&mut parts(), &()).await;
        assert_eq!(
            presented.unwrap_err().into_response().status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}
