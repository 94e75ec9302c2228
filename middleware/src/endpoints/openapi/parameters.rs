//! The parameters that operations refer to.

use serde_json::{Value, json};

use super::{super::paging, responses::schema, schemas::SCOPES};
use crate::session::MAX_SCOPES_LEN;

pub(super) fn all() -> Value {
    let id = |of: &str| json!({ "name": "id", "in": "path", "required": true, "description": of, "schema": schema("Id") });
    let query = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "query", "description": description, "schema": schema });
    let limit = json!({
        "type": "integer",
        "minimum": 1,
        "maximum": paging::MAX_LIMIT,
        "default": paging::DEFAULT_LIMIT,
    });
    // 16 bytes in base64url: the four bits that are left over are zero. 32 bytes: two bits.
    let (uuid, two_uuids) = ("[A-Za-z0-9_-]{21}[AQgw]", "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]");
    let cursor = |pattern: String| json!({ "type": "string", "pattern": pattern });
    let from_link = "The position in the list, from the `Link` header of a page.";
    let mut agent_id = query("agentId", "The agent.", schema("Id"));
    let filter = agent_id.clone();
    agent_id["required"] = true.into();
    let mut scope = query(
        "scope",
        "Demanded scopes, with a space between two. All are demanded, also those of a repeated parameter. \
         At most 1024 bytes in all.",
        json!({ "type": "array", "items": { "type": "string", "maxLength": MAX_SCOPES_LEN, "pattern": SCOPES } }),
    );
    scope["explode"] = true.into();
    json!({
        "agent": id("The agent."),
        "session": id("The session."),
        "agentId": agent_id,
        "ofAgent": filter,
        "limit": query("limit", "The maximum of entries. A page can have fewer and still have a next page.", limit),
        "agentCursor": query("cursor", from_link, cursor(format!("^{uuid}$"))),
        "sessionCursor": query("cursor", from_link, cursor(format!("^({uuid}|{two_uuids})$"))),
        "scope": scope,
        "path": {
            "name": "path",
            "in": "path",
            "required": true,
            "description": "Any path, with any number of segments. It has no effect.",
            "schema": { "type": "string" },
        },
        "idempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Makes the request repeatable. Use a random key.",
            "schema": { "type": "string", "minLength": 8, "maxLength": 255, "pattern": "^[!-~]+$" },
        },
    })
}
