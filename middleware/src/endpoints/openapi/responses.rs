//! The responses of operations: success, and errors by status.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::routes::Access;
use crate::error::{AuthError, Challenge, ErrorKind};

/// A reference to a component.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

pub(super) fn schema(name: &str) -> Value {
    reference("schemas", name)
}

/// A response with a JSON body that no cache may store.
pub(super) fn json_body(description: &str, body: Value) -> Value {
    let mut response = no_body(description);
    response["content"] = json!({ "application/json": { "schema": body } });
    response
}

/// A response without a body that no cache may store.
pub(super) fn no_body(description: &str) -> Value {
    json!({
        "description": description,
        "headers": {
            "Cache-Control": reference("headers", "NoStore"),
            "X-Request-Id": reference("headers", "RequestId"),
        },
    })
}

/// The headers that operations refer to.
pub(super) fn headers() -> Value {
    let challenge = "A challenge for each scheme that the route accepts (RFC 9110, section 11.6.1).";
    let next_page =
        "The next page, if there is one: `<?…>; rel=\"next\"`, relative to the request (RFC 8288).";
    json!({
        "NoStore": { "required": true, "schema": { "const": "no-store" } },
        "RequestId": {
            "description": "The id of the request: that of the client if it can be used, else a random one.",
            "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        },
        "Challenge": { "description": challenge, "required": true, "schema": { "type": "string" } },
        "RetryAfter": {
            "description": "The seconds to wait before the same request can succeed.",
            "required": true,
            "schema": { "type": "integer", "minimum": 0 },
        },
        "RetryAfterOfSome": {
            "description": "The seconds to wait, if `retryable` is true.",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "NextPage": { "description": next_page, "schema": { "type": "string" } },
    })
}

/// The responses that operations refer to.
pub(super) fn shared() -> Value {
    // The HTTP library answers before there is a request.
    json!({
        "UriTooLong": { "description": "The URI of the request is too long. There is no body." },
        "HeadTooLong": { "description": "The head of the request is too long. There is no body." },
    })
}

/// The errors that every request to a route can have, by its authentication.
fn errors_of(access: Access) -> &'static [ErrorKind] {
    use ErrorKind::*;
    match access {
        Access::Public => &[],
        Access::Admin(_) | Access::OAuthClient(_) | Access::TokenOrOAuthClient(_) => &[
            InvalidMasterPassword,
            Forbidden,
            MasterPasswordLocked,
            StoreUnavailable,
        ],
        Access::Session | Access::StrictSession => &[
            InvalidToken,
            TokenExpired,
            SessionRevoked,
            TokenSuperseded,
            SessionStateLost,
            SessionNotFound,
            StoreUnavailable,
        ],
        Access::Renewal => &[
            InvalidToken,
            TokenExpired,
            SessionRevoked,
            SessionStateLost,
            SessionNotFound,
            StoreUnavailable,
        ],
    }
}

/// The errors of the server, whatever the route is.
const OF_SERVER: &[ErrorKind] = &[
    ErrorKind::RequestTimeout,
    ErrorKind::Overloaded,
    ErrorKind::InternalError,
];

/// The error responses of an operation, by status: those of its authentication, its own, and those of the server.
pub(super) fn errors(access: Access, own: &[ErrorKind]) -> Map<String, Value> {
    let mut errors: BTreeMap<StatusCode, Vec<AuthError>> = BTreeMap::new();
    // Of a token, a missing session is a 401.
    let of_access = errors_of(access).iter().copied().map(AuthError::for_token);
    let others = own.iter().chain(OF_SERVER).copied().map(AuthError::new);
    for error in of_access.chain(others) {
        errors.entry(error.status()).or_default().push(error);
    }
    let mut responses = Map::new();
    for (status, errors) in errors {
        responses.insert(
            status.as_str().to_owned(),
            error(status, &errors, access.is_oauth()),
        );
    }
    responses.insert("414".to_owned(), reference("responses", "UriTooLong"));
    responses.insert("431".to_owned(), reference("responses", "HeadTooLong"));
    responses
}

fn error(status: StatusCode, errors: &[AuthError], oauth: bool) -> Value {
    let mut codes: Vec<_> = errors.iter().map(|error| error.kind().code()).collect();
    codes.sort_unstable();
    codes.dedup();
    let list: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
    let mut response = no_body(&list.join(", "));

    let headers = &mut response["headers"];
    if matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE
    ) {
        // The answer to a connection whose request was not read has no id.
        if let Some(headers) = headers.as_object_mut() {
            headers.remove("X-Request-Id");
        }
    }
    let mut add = |name: &str, component: &str, has: &dyn Fn(&AuthError) -> bool| {
        let count = errors.iter().filter(|error| has(error)).count();
        if count == errors.len() {
            headers[name] = reference("headers", component);
        } else if count > 0 {
            headers[name] = reference("headers", &format!("{component}OfSome"));
        }
    };
    add("WWW-Authenticate", "Challenge", &|error| {
        error.challenge() != Challenge::None
    });
    add("Retry-After", "RetryAfter", &|error| {
        error.kind().retryable() && error.kind() != ErrorKind::RequestTimeout
    });

    let problem = json!({
        "allOf": [schema("Problem"), { "properties": { "code": { "enum": codes }, "status": { "const": status.as_u16() } } }],
    });
    let by_server = errors.iter().any(|error| OF_SERVER.contains(&error.kind()));
    let mut content = Map::new();
    if oauth && status != StatusCode::REQUEST_TIMEOUT {
        content.insert(
            "application/json".to_owned(),
            json!({ "schema": schema("OAuthError") }),
        );
    }
    // The server answers before the endpoint is known.
    if !oauth || by_server {
        content.insert(
            "application/problem+json".to_owned(),
            json!({ "schema": problem }),
        );
    }
    response["content"] = Value::Object(content);
    response
}
