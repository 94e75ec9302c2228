//! The table of routes. Each method and path has an endpoint and the authentication that it requires.

use std::sync::LazyLock;

use http::Method;

use crate::master_auth::Right;

/// An endpoint of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    CreateAgent,
    ListAgents,
    GetAgent,
    DeleteAgent,
    CreateSession,
    ListSessions,
    RevokeSessions,
    GetSession,
    RevokeSession,
    RenewSession,
    RotateSession,
    GetOwnSession,
    RevokeOwnSession,
    Introspect,
    RevokeToken,
    ResourceMetadata,
    ListKeys,
    OpenApi,
    Health,
    Ready,
}

/// The authentication that an endpoint requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// None.
    Public,
    /// An administrator with this right.
    Admin(Right),
    /// The current token of a session.
    Session,
    /// The same, always checked by a read from the store: for endpoints that change something.
    StrictSession,
    /// A token of an unrevoked session, for its renewal.
    Renewal,
    /// An OAuth client: an administrator with this right, also by HTTP Basic.
    OAuthClient(Right),
    /// The token in the form of the request, unless the request has the credential of an OAuth client.
    TokenOrOAuthClient(Right),
}

impl Access {
    /// True if errors have the shape of RFC 6749.
    pub(super) const fn is_oauth(self) -> bool {
        matches!(self, Self::OAuthClient(_) | Self::TokenOrOAuthClient(_))
    }
}

/// The routes of the API, except those that have every method (`/v1/auth`) or another protocol (ext_authz).
pub(super) const ROUTES: &[(Method, &str, Access, Endpoint)] = &[
    (
        Method::POST,
        "/v1/agents",
        Access::Admin(Right::Agents),
        Endpoint::CreateAgent,
    ),
    (
        Method::GET,
        "/v1/agents",
        Access::Admin(Right::Agents),
        Endpoint::ListAgents,
    ),
    (
        Method::GET,
        "/v1/agents/{id}",
        Access::Admin(Right::Agents),
        Endpoint::GetAgent,
    ),
    (
        Method::DELETE,
        "/v1/agents/{id}",
        Access::Admin(Right::Agents),
        Endpoint::DeleteAgent,
    ),
    (
        Method::POST,
        "/v1/sessions",
        Access::Admin(Right::Open),
        Endpoint::CreateSession,
    ),
    (
        Method::GET,
        "/v1/sessions",
        Access::Admin(Right::List),
        Endpoint::ListSessions,
    ),
    (
        Method::DELETE,
        "/v1/sessions",
        Access::Admin(Right::Revoke),
        Endpoint::RevokeSessions,
    ),
    (
        Method::GET,
        "/v1/sessions/{id}",
        Access::Admin(Right::List),
        Endpoint::GetSession,
    ),
    (
        Method::DELETE,
        "/v1/sessions/{id}",
        Access::Admin(Right::Revoke),
        Endpoint::RevokeSession,
    ),
    (
        Method::PUT,
        "/v1/sessions/{id}/renew",
        Access::Renewal,
        Endpoint::RenewSession,
    ),
    (
        Method::POST,
        "/v1/sessions/{id}/rotate",
        Access::Admin(Right::Rotate),
        Endpoint::RotateSession,
    ),
    (
        Method::GET,
        "/v1/session",
        Access::Session,
        Endpoint::GetOwnSession,
    ),
    (
        Method::DELETE,
        "/v1/session",
        Access::StrictSession,
        Endpoint::RevokeOwnSession,
    ),
    (
        Method::POST,
        "/v1/introspect",
        Access::OAuthClient(Right::Introspect),
        Endpoint::Introspect,
    ),
    (
        Method::POST,
        "/v1/revoke",
        Access::TokenOrOAuthClient(Right::Revoke),
        Endpoint::RevokeToken,
    ),
    (
        Method::GET,
        "/.well-known/oauth-protected-resource",
        Access::Public,
        Endpoint::ResourceMetadata,
    ),
    (
        Method::GET,
        "/.well-known/oauth-protected-resource/{*path}",
        Access::Public,
        Endpoint::ResourceMetadata,
    ),
    (Method::GET, "/v1/keys", Access::Public, Endpoint::ListKeys),
    (Method::GET, "/openapi.json", Access::Public, Endpoint::OpenApi),
    (Method::GET, "/healthz", Access::Public, Endpoint::Health),
    (Method::GET, "/readyz", Access::Public, Endpoint::Ready),
];

type Routes = matchit::Router<Vec<(Method, Access, Endpoint)>>;

/// The routes by path.
static ROUTER: LazyLock<Routes> = LazyLock::new(|| {
    let mut router = matchit::Router::new();
    let mut paths: Vec<_> = ROUTES.iter().map(|(_, path, ..)| *path).collect();
    paths.dedup();
    for path in paths {
        let methods = ROUTES.iter().filter(|(_, other, ..)| *other == path);
        let methods = methods.map(|(method, _, access, endpoint)| (method.clone(), *access, *endpoint));
        // The paths are constants, and a test finds each of them.
        let _ = router.insert(path, methods.collect());
    }
    router
});

/// The route of a request.
#[derive(Debug, Clone)]
pub(super) struct Matched {
    pub(super) access: Access,
    pub(super) endpoint: Endpoint,
    /// The id in the path, not parsed.
    pub(super) id: Option<String>,
}

/// The reason why a request has no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoRoute {
    NotFound,
    /// The methods that the path supports, for `Allow`.
    MethodNotAllowed(String),
}

/// Finds the route of a request. `HEAD` has the route of `GET`: the server leaves the body out.
pub(super) fn find(method: &Method, path: &str) -> Result<Matched, NoRoute> {
    let found = ROUTER.at(path).map_err(|_| NoRoute::NotFound)?;
    let wanted = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let route = found.value.iter().find(|(method, ..)| method == wanted);
    let Some((_, access, endpoint)) = route else {
        let mut allowed: Vec<_> = found.value.iter().map(|(method, ..)| method.as_str()).collect();
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        return Err(NoRoute::MethodNotAllowed(allowed.join(", ")));
    };
    Ok(Matched {
        access: *access,
        endpoint: *endpoint,
        id: found.params.get("id").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_with_its_access() {
        for (method, path, access, endpoint) in ROUTES {
            let path = path.replace("{id}", "x").replace("{*path}", "a/b");
            let matched = find(method, &path).unwrap();
            assert_eq!((matched.access, matched.endpoint), (*access, *endpoint));
            assert_eq!(matched.id.is_some(), path.contains("/x"));
        }
    }

    #[test]
    fn only_public_data_and_health_checks_are_public() {
        for (method, path, access, _) in ROUTES {
            let is_metadata = path.starts_with("/.well-known/oauth-protected-resource");
            let is_public =
                is_metadata || matches!(*path, "/v1/keys" | "/openapi.json" | "/healthz" | "/readyz");
            let public = is_public && method == Method::GET;
            assert_eq!(*access == Access::Public, public, "{path}");
        }
    }

    #[test]
    fn endpoints_that_change_something_are_always_strict() {
        for (method, path, access, _) in ROUTES {
            assert!(
                *access != Access::Session || method == Method::GET,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn unknown_path_and_unknown_method_are_different_errors() {
        for path in [
            "/",
            "/v1",
            "/v1/sessions/",
            "/v1/sessions/x/renew/",
            "/v1//sessions",
            "/V1/sessions",
        ] {
            assert_eq!(find(&Method::GET, path).unwrap_err(), NoRoute::NotFound, "{path}");
        }
        let allowed = |path| match find(&Method::PATCH, path) {
            Err(NoRoute::MethodNotAllowed(allowed)) => allowed,
            other => panic!("{other:?}"),
        };
        assert_eq!(allowed("/v1/sessions"), "POST, GET, DELETE, HEAD");
        assert_eq!(allowed("/v1/sessions/x/renew"), "PUT");
        assert!(find(&Method::HEAD, "/healthz").is_ok());
    }
}
