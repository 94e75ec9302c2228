//! The schemas of responses.

use serde_json::{Value, json};

use super::{super::responses::schema, SCOPES};

pub(super) fn responses() -> Value {
    let issued = |own: &[&str]| {
        let mut properties = json!({
            "id": schema("Id"),
            "token": { "type": "string", "description": "A secret." },
            "tokenType": { "const": "Bearer" },
            "expiresAt": schema("Time"),
            "renewAfter": schema("Time"),
            "absoluteExpiresAt": schema("Time"),
            "maxRenewals": { "type": "integer", "minimum": 0 },
        });
        let mut required = vec![
            "id",
            "token",
            "tokenType",
            "expiresAt",
            "renewAfter",
            "absoluteExpiresAt",
            "maxRenewals",
        ];
        if own.contains(&"agentId") {
            properties["agentId"] = schema("Id");
            properties["scopes"] = schema("Scopes");
            properties["evictedSessionIds"] = json!({
                "type": "array",
                "items": schema("Id"),
                "description": "The sessions that were revoked to make room.",
            });
        } else {
            properties["renewalCount"] = json!({ "type": "integer", "minimum": 0 });
        }
        required.extend(own);
        json!({ "type": "object", "required": required, "properties": properties })
    };
    let durable = json!({
        "type": "boolean",
        "description": "Whether the replicas confirmed the revocation. Absent if the server waits for none.",
    });
    json!({
        "Agent": {
            "type": "object",
            "required": ["id", "name", "createdAt"],
            "properties": {
                "id": schema("Id"),
                "name": { "type": ["string", "null"] },
                "createdAt": schema("Time"),
            },
        },
        "DeletedAgent": {
            "type": "object",
            "required": ["id", "revokedSessions"],
            "properties": {
                "id": schema("Id"),
                "revokedSessions": { "type": "integer", "minimum": 0 },
                "durable": durable,
            },
        },
        "Session": {
            "type": "object",
            "required": [
                "id", "agentId", "status", "renewalCount", "maxRenewals", "expiresAt", "absoluteExpiresAt", "createdAt",
                "lastRenewedAt", "constraints",
            ],
            "properties": {
                "id": schema("Id"),
                "agentId": schema("Id"),
                "status": schema("SessionStatus"),
                "renewalCount": { "type": "integer", "minimum": 0 },
                "maxRenewals": { "type": "integer", "minimum": 0 },
                "expiresAt": schema("Time"),
                "absoluteExpiresAt": schema("Time"),
                "createdAt": schema("Time"),
                "lastRenewedAt": { "anyOf": [schema("Time"), { "type": "null" }] },
                "constraints": { "anyOf": [schema("Constraints"), { "type": "null" }] },
                "scopes": schema("Scopes"),
            },
        },
        "CreatedSession": issued(&["agentId"]),
        "RenewedSession": issued(&["renewalCount"]),
        "RevokedSession": {
            "type": "object",
            "required": ["id", "status"],
            "properties": { "id": schema("Id"), "status": { "const": "REVOKED" }, "durable": durable },
        },
        "RevokedSessions": {
            "type": "object",
            "required": ["agentId", "revokedSessions"],
            "properties": {
                "agentId": schema("Id"),
                "revokedSessions": { "type": "integer", "minimum": 0 },
                "durable": durable,
            },
        },
    })
}

/// For proxies, gateways, services that verify tokens, and load balancers.
pub(super) fn of_verification() -> Value {
    json!({
        "Introspection": {
            "description": "RFC 7662, section 2.2.",
            "oneOf": [schema("ActiveToken"), schema("InactiveToken")],
        },
        "InactiveToken": {
            "type": "object",
            "required": ["active"],
            "properties": { "active": { "const": false } },
            "additionalProperties": false,
        },
        "ActiveToken": {
            "type": "object",
            "required": ["active", "sub", "client_id", "exp", "iat", "iss", "jti", "token_type"],
            "properties": {
                "active": { "const": true },
                "sub": { "type": "string", "format": "uuid", "description": "The agent." },
                "client_id": { "type": "string", "format": "uuid", "description": "The agent." },
                "jti": { "type": "string", "format": "uuid", "description": "The session." },
                "scope": { "type": "string", "pattern": SCOPES },
                "iat": schema("Time"),
                "exp": schema("Time"),
                "iss": { "type": "string" },
                "aud": { "type": "string" },
                "token_type": { "const": "Bearer" },
            },
        },
        "ResourceMetadata": {
            "type": "object",
            "required": ["resource", "bearer_methods_supported"],
            "properties": {
                "resource": { "type": "string", "format": "uri" },
                "bearer_methods_supported": { "type": "array", "items": { "const": "header" } },
            },
        },
        "Keys": {
            "type": "object",
            "required": ["keys"],
            "properties": { "keys": { "type": "array", "minItems": 1, "items": schema("Key") } },
        },
        "Key": {
            "type": "object",
            "required": ["kid", "paserk", "status"],
            "properties": {
                "kid": { "type": "string", "pattern": "^k4\\.pid\\." },
                "paserk": { "type": "string", "pattern": "^k4\\.public\\." },
                "status": { "enum": ["signing", "accepted"] },
            },
        },
        "Health": {
            "type": "object",
            "required": ["status"],
            "properties": { "status": { "const": "ok" } },
        },
        "Readiness": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": { "enum": ["ready", "degraded", "unready"] },
                "reason": { "type": "string" },
                "warnings": {
                    "type": "array",
                    "items": { "enum": ["evicting_policy", "no_persistence", "clock_skew"] },
                },
                "clockSkewMs": { "type": "integer" },
            },
        },
    })
}
