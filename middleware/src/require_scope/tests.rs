use http::{Request, header};

use super::*;
use crate::{
    AuthError, ErrorKind, RejectionReason,
    response::Rejections,
    session::{InvalidScopes, Scopes},
    session_auth::{AuthenticatedSession, NoSession},
    test_support::{claims, header, kind, pass, reason, record},
};

/// A request with a session that has these scopes.
fn request(scopes: &[&str]) -> Request<()> {
    let mut session = AuthenticatedSession::new(&record(&claims()), &claims());
    session.scopes = Scopes::new(scopes.iter().copied()).unwrap();
    let mut request = Request::new(());
    request.extensions_mut().insert(session);
    request
}

#[tokio::test]
async fn session_with_the_required_scopes_is_admitted() {
    let all = RequireScopeLayer::all("a b").unwrap();
    let any = RequireScopeLayer::any("a b").unwrap();
    for (scopes, has_all, has_any) in [
        (&["a", "b"][..], true, true),
        (&["c", "b", "a"], true, true),
        (&["a"], false, true),
        (&["c", "b"], false, true),
        (&["c"], false, false),
        (&["A", "B"], false, false),
        (&["a:b"], false, false),
        (&[], false, false),
    ] {
        assert_eq!(pass(&all, request(scopes)).await.is_ok(), has_all, "{scopes:?}");
        assert_eq!(pass(&any, request(scopes)).await.is_ok(), has_any, "{scopes:?}");
    }
}

#[tokio::test]
async fn challenge_names_the_required_scopes() {
    let layer = RequireScopeLayer::all("a b").unwrap().realm("reports");
    let rejection = pass(&layer, request(&["a"])).await.unwrap_err();
    assert_eq!(rejection.status(), 403);
    assert_eq!(kind(&rejection), ErrorKind::InsufficientScope);
    assert_eq!(reason(&rejection), RejectionReason::MissingScope);
    let expected = "Bearer realm=\"reports\", error=\"insufficient_scope\", scope=\"a b\"";
    assert_eq!(header(&rejection, header::WWW_AUTHENTICATE), Some(expected));
    assert_eq!(header(&rejection, header::CACHE_CONTROL), Some("no-store"));
    let error: &AuthError = rejection.extensions().get().unwrap();
    assert_eq!(error.session_id(), Some(claims().session_id));
}

#[tokio::test]
async fn request_without_a_session_is_never_admitted() {
    let layer = RequireScopeLayer::any("a").unwrap();
    let rejection = pass(&layer, Request::new(())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::InternalError);
    let mut anonymous = Request::new(());
    anonymous.extensions_mut().insert(NoSession {
        error: AuthError::missing_token(),
        rejections: Rejections::default().into(),
    });
    let rejection = pass(&layer, anonymous).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::InvalidToken);
}

#[test]
fn layer_without_a_scope_cannot_be_made() {
    for invalid in ["", " ", "a  b", "a\"b"] {
        assert_eq!(RequireScopeLayer::all(invalid).unwrap_err(), InvalidScopes);
        assert_eq!(RequireScopeLayer::any(invalid).unwrap_err(), InvalidScopes);
    }
}
