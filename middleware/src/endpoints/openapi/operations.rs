//! The description of each endpoint.

use serde_json::json;

use super::{
    super::{resource_metadata, routes::Endpoint},
    links,
    operation::Operation,
    responses::{json_body, no_body, schema},
};
use crate::{
    error::ErrorKind::{
        AgentNotFound, InsufficientScope, NotFound, RenewalLimitReached, RenewalTooEarly,
        SessionAbsoluteLifetimeExceeded, SessionLimitExceeded, SessionNotFound, SessionRenewalMismatch,
        SessionRevoked, StoreUnavailable, TokenExpired, UnsupportedMediaType, ValidationFailed,
    },
    token::PUBLISHED_KEYS_MAX_AGE,
};

/// Describes an endpoint.
pub(super) fn describe(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::CreateAgent => Operation::new("createAgent", "agents", "Register an agent.")
            .parameters(&["idempotencyKey"])
            .json(false, "CreateAgent")
            .returns("201", json_body("The agent.", schema("Agent")))
            .link(links::of_agent())
            .fails(&[ValidationFailed, AgentNotFound, UnsupportedMediaType]),
        Endpoint::ListAgents => Operation::new("listAgents", "agents", "List the agents, ordered by id.")
            .parameters(&["limit", "agentCursor"])
            .returns_page("Agent")
            .fails(&[ValidationFailed]),
        Endpoint::GetAgent => Operation::new("getAgent", "agents", "Read an agent.")
            .parameters(&["agent"])
            .returns("200", json_body("The agent.", schema("Agent")))
            .fails(&[ValidationFailed, AgentNotFound]),
        Endpoint::DeleteAgent => Operation::new(
            "deleteAgent",
            "agents",
            "Delete an agent and revoke its sessions.",
        )
        .parameters(&["agent"])
        .revokes("DeletedAgent")
        .fails(&[ValidationFailed, AgentNotFound]),
        Endpoint::CreateSession => {
            Operation::new("createSession", "sessions", "Create a session for an agent.")
                .parameters(&["idempotencyKey"])
                .json(true, "CreateSession")
                .returns(
                    "201",
                    json_body("The session and its token.", schema("CreatedSession")),
                )
                .link(links::of_session())
                .fails(&[
                    ValidationFailed,
                    AgentNotFound,
                    SessionNotFound,
                    SessionLimitExceeded,
                    UnsupportedMediaType,
                ])
        }
        Endpoint::ListSessions => {
            let summary = "List the sessions, ordered by agent, without revoked ones.";
            Operation::new("listSessions", "sessions", summary)
                .parameters(&["ofAgent", "limit", "sessionCursor"])
                .returns_page("Session")
                .fails(&[ValidationFailed])
        }
        Endpoint::RevokeSessions => {
            Operation::new("revokeSessions", "sessions", "Revoke all sessions of an agent.")
                .parameters(&["agentId"])
                .revokes("RevokedSessions")
                .fails(&[ValidationFailed, AgentNotFound])
        }
        Endpoint::GetSession => {
            Operation::new("getSession", "sessions", "Read a session, also a revoked one.")
                .parameters(&["session"])
                .returns("200", json_body("The session.", schema("Session")))
                .fails(&[ValidationFailed, SessionNotFound])
        }
        Endpoint::RevokeSession => Operation::new("revokeSession", "sessions", "Revoke a session.")
            .parameters(&["session"])
            .revokes("RevokedSession")
            .fails(&[ValidationFailed, SessionNotFound]),
        Endpoint::RotateSession => {
            Operation::new("rotateSession", "sessions", "Issue a new token for a session.")
                .parameters(&["session"])
                .returns(
                    "200",
                    json_body("The session and its new token.", schema("RenewedSession")),
                )
                .link(links::of_token())
                .fails(&[
                    ValidationFailed,
                    SessionNotFound,
                    SessionRevoked,
                    TokenExpired,
                    SessionAbsoluteLifetimeExceeded,
                ])
        }
        Endpoint::RenewSession => {
            let summary = "Renew the caller's own session: a new token replaces the presented one.";
            Operation::new("renewSession", "session", summary)
                .parameters(&["session", "idempotencyKey"])
                .returns(
                    "200",
                    json_body("The session and its new token.", schema("RenewedSession")),
                )
                .link(links::of_token())
                .fails(&[
                    ValidationFailed,
                    SessionNotFound,
                    SessionRenewalMismatch,
                    RenewalLimitReached,
                    SessionAbsoluteLifetimeExceeded,
                    RenewalTooEarly,
                ])
        }
        Endpoint::GetOwnSession => {
            Operation::new("getOwnSession", "session", "Read the caller's own session.")
                .returns("200", json_body("The session.", schema("Session")))
        }
        Endpoint::RevokeOwnSession => {
            Operation::new("revokeOwnSession", "session", "Revoke the caller's own session.")
                .revokes("RevokedSession")
        }
        Endpoint::Introspect => Operation::new("introspect", "verification", "Describe a token (RFC 7662).")
            .form("TokenForm")
            .returns(
                "200",
                json_body("The token, if it is active.", schema("Introspection")),
            )
            .fails(&[ValidationFailed]),
        Endpoint::RevokeToken => {
            let summary = "Revoke the session of a token (RFC 7009). \
                Without other credentials, the token must be the current one.";
            Operation::new("revokeToken", "verification", summary)
                .form("TokenForm")
                .returns("200", no_body("The token does not work, or no longer."))
                .fails(&[ValidationFailed])
        }
        Endpoint::ResourceMetadata => {
            let cached = json!({ "required": true, "schema": { "const": resource_metadata::CACHE_CONTROL } });
            Operation::new(
                "resourceMetadata",
                "verification",
                "Describe the protected resource (RFC 9728), if the server has its URL.",
            )
            .returns("200", json_body("The metadata.", schema("ResourceMetadata")))
            .header("Cache-Control", cached)
            .fails(&[NotFound])
        }
        Endpoint::ListKeys => {
            let max_age = format!("max-age={}", PUBLISHED_KEYS_MAX_AGE.as_secs());
            let cached = json!({ "required": true, "schema": { "const": max_age } });
            Operation::new(
                "listKeys",
                "verification",
                "List the public keys whose tokens are accepted.",
            )
            .returns("200", json_body("The keys.", schema("Keys")))
            .header("Cache-Control", cached)
        }
        Endpoint::OpenApi => Operation::new("describe", "server", "This document.")
            .returns("200", json_body("The document.", json!({ "type": "object" }))),
        Endpoint::Health => Operation::new("health", "server", "Check that the process runs.")
            .returns("200", json_body("The process runs.", schema("Health"))),
        Endpoint::Ready => Operation::new("ready", "server", "Check that sessions can be checked.")
            .returns("200", json_body("Sessions are checked.", schema("Readiness")))
            .fails(&[StoreUnavailable])
            .also_fails_with("Readiness"),
    }
}

/// Describes `/v1/auth`, which is in no table of routes.
pub(super) fn forward_auth() -> Operation {
    let admitted = "The request is admitted. A proxy copies the headers to the request.";
    let id = json!({ "required": true, "schema": schema("Id") });
    let time = json!({ "required": true, "schema": schema("Time") });
    let scopes = json!({ "required": true, "schema": { "type": "string" } });
    Operation::new(
        "forwardAuth",
        "verification",
        "Ask whether a request is admitted.",
    )
    .parameters(&["scope"])
    .returns("200", no_body(admitted))
    .header("X-Session-Id", id.clone())
    .header("X-Agent-Id", id)
    .header("X-Session-Expires-At", time)
    .header("X-Session-Scopes", scopes)
    .fails(&[ValidationFailed, InsufficientScope])
    .reads_no_body()
}
