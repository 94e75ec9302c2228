//! From path and method to an endpoint, and to who may call it.

use http::Method;

use crate::endpoints::Endpoint;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody.
    Open,
    /// Whoever has the master password.
    Master,
    /// Whoever has the current token of a session.
    Session,
    /// The same, and the store is asked whatever the freshness is: for what changes something.
    StrictSession,
    /// Whoever has a token of a session that stands, to renew it.
    Renewal,
}

/// Every endpoint of the server.
const ROUTES: &[(Method, &str, Access, Endpoint)] = &[
    (Method::POST, "/v1/agents", Access::Master, Endpoint::CreateAgent),
    (Method::GET, "/v1/agents", Access::Master, Endpoint::ListAgents),
    (Method::GET, "/v1/agents/{id}", Access::Master, Endpoint::GetAgent),
    (
        Method::DELETE,
        "/v1/agents/{id}",
        Access::Master,
        Endpoint::DeleteAgent,
    ),
    (
        Method::POST,
        "/v1/sessions",
        Access::Master,
        Endpoint::CreateSession,
    ),
    (
        Method::GET,
        "/v1/sessions",
        Access::Master,
        Endpoint::ListSessions,
    ),
    (
        Method::DELETE,
        "/v1/sessions",
        Access::Master,
        Endpoint::RevokeSessions,
    ),
    (
        Method::GET,
        "/v1/sessions/{id}",
        Access::Master,
        Endpoint::GetSession,
    ),
    (
        Method::DELETE,
        "/v1/sessions/{id}",
        Access::Master,
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
        Access::Master,
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
    (Method::GET, "/healthz", Access::Open, Endpoint::Health),
    (Method::GET, "/readyz", Access::Open, Endpoint::Ready),
    (Method::GET, "/metrics", Access::Master, Endpoint::Metrics),
];

/// The routes, ready to be searched.
#[derive(Debug, Clone)]
pub(crate) struct Routes(matchit::Router<Vec<(Method, Access, Endpoint)>>);

/// What a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Matched {
    pub(crate) access: Access,
    pub(crate) endpoint: Endpoint,
    /// The id in the path, as it was written.
    pub(crate) id: Option<String>,
}

/// Why a request asks for nothing there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoRoute {
    NotFound,
    /// The methods that the path takes, for `Allow`.
    MethodNotAllowed(String),
}

impl Routes {
    pub(crate) fn new() -> Result<Self, matchit::InsertError> {
        let mut router = matchit::Router::new();
        let mut paths: Vec<_> = ROUTES.iter().map(|(_, path, ..)| *path).collect();
        paths.dedup();
        for path in paths {
            let methods = ROUTES.iter().filter(|(_, other, ..)| *other == path);
            let methods = methods.map(|(method, _, access, endpoint)| (method.clone(), *access, *endpoint));
            router.insert(path, methods.collect())?;
        }
        Ok(Self(router))
    }

    /// A HEAD is answered like a GET; the connection leaves the body out.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<Matched, NoRoute> {
        let found = self.0.at(path).map_err(|_| NoRoute::NotFound)?;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_with_its_access() {
        let routes = Routes::new().unwrap();
        for (method, path, access, endpoint) in ROUTES {
            let matched = routes.find(method, &path.replace("{id}", "x")).unwrap();
            assert_eq!((matched.access, matched.endpoint), (*access, *endpoint));
            assert_eq!(matched.id.is_some(), path.contains("{id}"));
        }
    }

    #[test]
    fn what_is_open_is_only_health() {
        for (_, path, access, _) in ROUTES {
            let health = matches!(*path, "/healthz" | "/readyz");
            assert_eq!(*access == Access::Open, health, "{path}");
        }
    }

    #[test]
    fn nothing_is_changed_by_what_may_be_stale() {
        for (method, path, access, _) in ROUTES {
            assert!(
                *access != Access::Session || method == Method::GET,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn unknown_paths_and_methods_are_told_apart() {
        let routes = Routes::new().unwrap();
        for path in [
            "/",
            "/v1",
            "/v1/sessions/",
            "/v1/sessions/x/renew/",
            "/v1//sessions",
            "/V1/sessions",
        ] {
            assert_eq!(
                routes.find(&Method::GET, path).unwrap_err(),
                NoRoute::NotFound,
                "{path}"
            );
        }
        let allowed = |path| match routes.find(&Method::PATCH, path) {
            Err(NoRoute::MethodNotAllowed(allowed)) => allowed,
            other => panic!("{other:?}"),
        };
        assert_eq!(allowed("/v1/sessions"), "POST, GET, DELETE, HEAD");
        assert_eq!(allowed("/v1/sessions/x/renew"), "PUT");
        assert!(routes.find(&Method::HEAD, "/healthz").is_ok());
    }
}
