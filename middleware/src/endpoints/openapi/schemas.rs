//! The schemas of bodies, and of what they share.

mod bodies;

use serde_json::{Value, json};

use super::responses::schema;
use crate::{
    error::ErrorKind,
    manager::MAX_NAME_LEN,
    session::{MAX_CONSTRAINTS_LEN, MAX_SCOPES_LEN, SessionPolicy},
};

/// A name without control characters.
const NAME: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$";
/// A scope of RFC 6749, section 3.3.
pub(super) const SCOPE: &str = "^[!#-\\[\\]-~]+$";
/// Scopes with one space between two.
pub(super) const SCOPES: &str = "^[!#-\\[\\]-~]+( [!#-\\[\\]-~]+)*$";

pub(super) fn all(policy: &SessionPolicy) -> Value {
    let mut schemas = json!({
        "Id": { "type": "string", "format": "uuid" },
        "Time": { "type": "integer", "minimum": 0, "description": "Seconds since 1970." },
        "SessionStatus": { "enum": ["ACTIVE", "EXPIRED", "REVOKED"] },
        "Scopes": { "type": "array", "items": { "type": "string", "maxLength": MAX_SCOPES_LEN, "pattern": SCOPE } },
        "Constraints": {
            "type": "object",
            "description": format!("For the application. At most {MAX_CONSTRAINTS_LEN} bytes of JSON, kept as they are."),
        },
    });
    for part in [
        requests(policy),
        bodies::responses(),
        bodies::of_verification(),
        errors(),
    ] {
        if let (Value::Object(schemas), Value::Object(part)) = (&mut schemas, part) {
            schemas.extend(part);
        }
    }
    schemas
}

fn requests(policy: &SessionPolicy) -> Value {
    json!({
        "CreateAgent": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "id": { "type": ["string", "null"], "format": "uuid", "description": "Random by default." },
                "name": {
                    "type": ["string", "null"],
                    "minLength": 1,
                    "maxLength": MAX_NAME_LEN,
                    "pattern": NAME,
                    "description": format!("For people. At most {MAX_NAME_LEN} bytes of UTF-8."),
                },
            },
        },
        "CreateSession": {
            "type": "object",
            "additionalProperties": false,
            "required": ["agentId"],
            "properties": {
                "agentId": schema("Id"),
                "ttl": {
                    "type": ["integer", "null"],
                    "minimum": policy.min_ttl,
                    "maximum": policy.max_ttl,
                    "default": policy.ttl,
                    "description": "The lifetime of each token, in seconds.",
                },
                "maxRenewals": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "maximum": policy.max_renewals,
                    "default": policy.max_renewals,
                    "description": "How many renewals the session may have.",
                },
                "absoluteLifetime": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "maximum": policy.absolute_lifetime,
                    "default": policy.absolute_lifetime,
                    "description": "The maximum lifetime of the session, in seconds.",
                },
                "scopes": {
                    "description": format!("An array, or text with spaces. At most {MAX_SCOPES_LEN} bytes of text."),
                    "anyOf": [
                        schema("Scopes"),
                        { "type": "string", "maxLength": MAX_SCOPES_LEN, "pattern": SCOPES },
                        { "type": "null" },
                    ],
                },
                "constraints": { "anyOf": [schema("Constraints"), { "type": "null" }] },
            },
        },
        "TokenForm": {
            "type": "object",
            "required": ["token"],
            "properties": {
                "token": { "type": "string", "minLength": 1 },
                "token_type_hint": { "type": "string", "description": "Has no effect." },
            },
            "additionalProperties": { "type": "string" },
        },
    })
}

fn errors() -> Value {
    let codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
    json!({
        "Problem": {
            "description": "RFC 9457.",
            "type": "object",
            "required": ["type", "title", "status", "detail", "code", "retryable"],
            "properties": {
                "type": { "type": "string", "format": "uri" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string", "description": "For people." },
                "code": { "enum": codes, "description": "For programs." },
                "retryable": { "type": "boolean", "description": "Whether the same request can succeed later." },
                "requestId": { "type": "string" },
                "details": {
                    "type": "object",
                    "required": ["issues"],
                    "properties": { "issues": { "type": "array", "items": schema("Issue") } },
                },
            },
        },
        "Issue": {
            "type": "object",
            "required": ["path", "message"],
            "properties": {
                "path": { "type": "string", "description": "The field, parameter or header. Empty for the whole body." },
                "message": { "type": "string" },
            },
        },
        "OAuthError": {
            "description": "RFC 6749, section 5.2.",
            "type": "object",
            "required": ["error", "error_description"],
            "properties": {
                "error": {
                    "enum": [
                        "invalid_request", "invalid_client", "unauthorized_client", "temporarily_unavailable", "server_error",
                    ],
                },
                "error_description": { "type": "string" },
            },
        },
    })
}
