//! `/openapi.json`: the description of the API in OpenAPI 3.1.
//!
//! The document is built from the table of routes, and [`operations`] has an arm for each endpoint, so each route is described. The security
//! of a route, and the errors of its authentication, follow from its [`Access`].

mod links;
mod operation;
mod operations;
mod parameters;
mod responses;
mod schemas;
#[cfg(test)]
mod tests;

use http::{HeaderName, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use self::operation::Operation;
use super::{
    output::{self, Answer},
    routes::{Access, ROUTES},
    state::State,
};
use crate::{
    master_auth::X_MASTER_PASSWORD,
    session::SessionPolicy,
    store::{AgentStore, SessionStore},
};

const DESCRIPTION: &str = "Sessions of agents, services and other API clients.\n\n\
    Each path with GET answers HEAD too. A method that a path does not have is a 405 with `Allow`, and an unknown path a 404, both with a \
    problem document. A request that is not valid HTTP is a 400 without a body. Times are integer seconds since 1970.";

/// All methods of `/v1/auth` that OpenAPI can describe.
const AUTH_METHODS: [Method; 8] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::DELETE,
    Method::OPTIONS,
    Method::HEAD,
    Method::PATCH,
    Method::TRACE,
];

/// The settings that the document names.
#[derive(Clone, Copy)]
struct Settings<'a> {
    policy: &'a SessionPolicy,
    token_header: &'a HeaderName,
}

/// The document as it is served.
pub(super) fn respond<S: SessionStore + AgentStore>(state: &State<S>) -> Answer {
    let document = state.openapi.get_or_init(|| {
        document(Settings {
            policy: state.sessions.session_policy(),
            token_header: state.verifier.header_name(),
        })
    });
    output::json(StatusCode::OK, document)
}

fn document(settings: Settings<'_>) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Session API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        // Relative to the URL of the document, so it is right under any prefix.
        "servers": [{ "url": "." }],
        "tags": [
            { "name": "agents", "description": "The agents that sessions are created for. For administrators." },
            { "name": "sessions", "description": "All sessions. For administrators." },
            { "name": "session", "description": "The caller's own session." },
            { "name": "verification", "description": "For proxies, gateways and services that verify tokens." },
            { "name": "server", "description": "The state of the server." },
        ],
        "paths": paths(),
        "components": {
            "schemas": schemas::all(settings.policy),
            "parameters": parameters::all(),
            "headers": responses::headers(),
            "responses": responses::shared(),
            "securitySchemes": security_schemes(settings.token_header),
        },
    })
}

/// The rest of a path in the table of routes.
const ANY_PATH: &str = "{*path}";

fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    let mut describe = |method: &Method, path: &str, access, operation: Operation| {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method.as_str().to_ascii_lowercase()] = operation.to_json(access);
    };
    for (method, path, access, endpoint) in ROUTES {
        let mut operation = operations::describe(*endpoint);
        if path.ends_with(ANY_PATH) {
            operation.set_below();
        }
        describe(method, &path.replace(ANY_PATH, "{path}"), *access, operation);
    }
    // It is not in the table, since it has every method.
    for (path, below) in [("/v1/auth", false), ("/v1/auth/{path}", true)] {
        for method in AUTH_METHODS {
            let mut operation = operations::forward_auth();
            operation.set_method_of_forward_auth(&method, below);
            describe(&method, path, Access::Session, operation);
        }
    }
    paths
}

/// The security requirements of a route: alternatives, each with the rights that it demands.
fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Session | Access::StrictSession | Access::Renewal => json!([{ "sessionToken": [] }]),
        Access::Admin(right) => json!([{ "adminKey": [right.as_str()] }, { "masterPassword": [] }]),
        Access::OAuthClient(right) => json!([
            { "adminKey": [right.as_str()] },
            { "adminKeyBasic": [right.as_str()] },
            { "masterPassword": [] },
        ]),
        Access::TokenOrOAuthClient(right) => json!([
            {},
            { "adminKey": [right.as_str()] },
            { "adminKeyBasic": [right.as_str()] },
            { "masterPassword": [] },
        ]),
    }
}

fn security_schemes(token_header: &HeaderName) -> Value {
    let session_token = if *token_header == header::AUTHORIZATION {
        json!({ "type": "http", "scheme": "bearer", "description": "The current token of a session." })
    } else {
        let description = "The current token of a session, with or without `Bearer ` before it.";
        json!({ "type": "apiKey", "in": "header", "name": token_header.as_str(), "description": description })
    };
    json!({
        "sessionToken": session_token,
        "adminKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A named admin key, `wai_admin_…`. The roles are the rights that the request needs.",
        },
        "adminKeyBasic": {
            "type": "http",
            "scheme": "basic",
            "description": "The name of an admin key as the user, and its secret as the password (RFC 6749, section 2.3.1).",
        },
        "masterPassword": {
            "type": "apiKey",
            "in": "header",
            "name": X_MASTER_PASSWORD.as_str(),
            "description": "The master password, with every right.",
        },
    })
}
