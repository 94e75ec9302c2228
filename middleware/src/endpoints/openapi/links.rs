//! Links from the response of an operation to others that take its values.

use serde_json::{Value, json};

const ID: &str = "$response.body#/id";

fn with_id(operation: &str) -> Value {
    json!({ "operationId": operation, "parameters": { "id": ID } })
}

fn with_agent(operation: &str, agent: &str) -> Value {
    json!({ "operationId": operation, "parameters": { "agentId": agent } })
}

fn with_token(operation: &str) -> Value {
    json!({ "operationId": operation, "requestBody": { "token": "$response.body#/token" } })
}

/// From an agent to its sessions.
pub(super) fn of_agent() -> Value {
    json!({
        "getAgent": with_id("getAgent"),
        "deleteAgent": with_id("deleteAgent"),
        "createSession": { "operationId": "createSession", "requestBody": { "agentId": ID } },
        "listSessions": with_agent("listSessions", ID),
        "revokeSessions": with_agent("revokeSessions", ID),
    })
}

/// From a new session to the rest of its life.
pub(super) fn of_session() -> Value {
    let agent = "$response.body#/agentId";
    json!({
        "getSession": with_id("getSession"),
        "renewSession": with_id("renewSession"),
        "rotateSession": with_id("rotateSession"),
        "revokeSession": with_id("revokeSession"),
        "listSessions": with_agent("listSessions", agent),
        "revokeSessions": with_agent("revokeSessions", agent),
        "introspect": with_token("introspect"),
        "revokeToken": with_token("revokeToken"),
    })
}

/// From a new token of a session.
pub(super) fn of_token() -> Value {
    json!({
        "getSession": with_id("getSession"),
        "renewSession": with_id("renewSession"),
        "rotateSession": with_id("rotateSession"),
        "revokeSession": with_id("revokeSession"),
        "introspect": with_token("introspect"),
        "revokeToken": with_token("revokeToken"),
    })
}
