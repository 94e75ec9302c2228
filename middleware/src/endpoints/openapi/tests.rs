use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use super::{
    super::{
        agents::CreateAgent,
        forward_auth::is_forward_auth,
        routes::{self, Matched},
        sessions::CreateSession,
    },
    *,
};

fn described() -> Value {
    let policy = SessionPolicy::default();
    document(Settings {
        policy: &policy,
        token_header: &header::AUTHORIZATION,
    })
}

/// Each operation with its method and path.
fn operations(document: &Value) -> impl Iterator<Item = (Method, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap();
        methods.iter().map(|(method, operation)| {
            let method = method.to_ascii_uppercase().parse().unwrap();
            (method, path.as_str(), operation)
        })
    })
}

#[test]
fn every_route_is_described_with_its_security() {
    let document = described();
    for (method, path, access, _) in ROUTES {
        let operation =
            &document["paths"][path.replace(ANY_PATH, "{path}")][method.as_str().to_ascii_lowercase()];
        assert!(operation.is_object(), "{method} {path}");
        assert_eq!(operation["security"], security(*access), "{method} {path}");
    }
    for path in ["/v1/auth", "/v1/auth/{path}"] {
        let methods = document["paths"][path].as_object().unwrap().keys();
        let all = BTreeSet::from([
            "delete", "get", "head", "options", "patch", "post", "put", "trace",
        ]);
        assert_eq!(methods.map(String::as_str).collect::<BTreeSet<_>>(), all);
    }
}

#[test]
fn every_described_route_exists() {
    let document = described();
    let mut described = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let access = if is_forward_auth(path) {
            Access::Session
        } else {
            let Matched { access, id, .. } = routes::find(&method, path).unwrap();
            assert_eq!(id.is_some(), path.contains("{id}"), "{method} {path}");
            access
        };
        assert_eq!(operation["security"], security(access), "{method} {path}");
        described.insert(operation["operationId"].as_str().unwrap());
    }
    let of_forward_auth = 2 * AUTH_METHODS.len();
    assert_eq!(
        described.len(),
        ROUTES.len() + of_forward_auth,
        "each has an id of its own"
    );
}

#[test]
fn every_reference_and_link_has_a_target() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = described();
    let mut found = Vec::new();
    references(&document, &mut found);
    let used: BTreeSet<_> = found.into_iter().collect();
    let defined: BTreeSet<_> = ["schemas", "parameters", "headers", "responses"]
        .into_iter()
        .flat_map(|kind| {
            let names = document["components"][kind].as_object().unwrap().keys();
            names.map(move |name| format!("#/components/{kind}/{name}"))
        })
        .collect();
    assert_eq!(used, defined.iter().map(String::as_str).collect());

    let parameters: BTreeMap<_, Vec<_>> = operations(&document)
        .map(|(_, _, operation)| {
            let references = operation["parameters"].as_array().into_iter().flatten();
            let names = references.map(|reference| {
                let pointer = reference["$ref"].as_str().unwrap().trim_start_matches('#');
                document.pointer(pointer).unwrap()["name"].as_str().unwrap()
            });
            (operation["operationId"].as_str().unwrap(), names.collect())
        })
        .collect();
    for (_, _, operation) in operations(&document) {
        for response in operation["responses"].as_object().unwrap().values() {
            for link in response["links"].as_object().into_iter().flat_map(Map::values) {
                let target = &parameters[link["operationId"].as_str().unwrap()];
                for name in link["parameters"].as_object().into_iter().flat_map(Map::keys) {
                    assert!(target.contains(&name.as_str()), "{link}");
                }
            }
        }
    }
}

#[test]
fn request_schemas_have_the_fields_that_are_parsed() {
    /// The fields that the message about an unknown one lists.
    fn parsed<T: DeserializeOwned>() -> BTreeSet<String> {
        let message = serde_json::from_str::<T>(r#"{"?":0}"#).err().unwrap().to_string();
        let names = message.split('`').skip(3).step_by(2);
        names.map(str::to_owned).collect()
    }
    let document = described();
    let schema = |name: &str| {
        let properties = &document["components"]["schemas"][name]["properties"];
        properties.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(parsed::<CreateAgent>(), schema("CreateAgent"));
    assert_eq!(parsed::<CreateSession>(), schema("CreateSession"));
}

#[test]
fn limits_are_those_of_the_policy() {
    let mut policy = SessionPolicy::default();
    (policy.min_ttl, policy.ttl, policy.max_ttl, policy.max_renewals) = (7, 8, 9, 3);
    let document = document(Settings {
        policy: &policy,
        token_header: &HeaderName::from_static("x-session-token"),
    });
    let fields = &document["components"]["schemas"]["CreateSession"]["properties"];
    let ttl = ["minimum", "default", "maximum"].map(|limit| fields["ttl"][limit].as_u64());
    assert_eq!(ttl, [Some(7), Some(8), Some(9)]);
    assert_eq!(fields["maxRenewals"]["maximum"], 3);
    let scheme = &document["components"]["securitySchemes"]["sessionToken"];
    assert_eq!(scheme["name"], "x-session-token");
}

#[test]
fn errors_follow_from_the_authentication_and_the_endpoint() {
    let document = described();
    let codes = |path: &str, method: &str, status: &str| {
        let content = &document["paths"][path][method]["responses"][status]["content"];
        content["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"].clone()
    };
    let renew = "/v1/sessions/{id}/renew";
    assert_eq!(codes(renew, "put", "404"), json!(["SESSION_NOT_FOUND"]));
    assert_eq!(
        codes(renew, "put", "401"),
        json!([
            "INVALID_TOKEN",
            "SESSION_NOT_FOUND",
            "SESSION_REVOKED",
            "SESSION_STATE_LOST",
            "TOKEN_EXPIRED"
        ])
    );
    assert_eq!(
        codes("/v1/sessions", "post", "403"),
        json!(["FORBIDDEN", "SESSION_LIMIT_EXCEEDED"])
    );
    assert_eq!(codes("/v1/session", "get", "403"), Value::Null);
    let oauth = &document["paths"]["/v1/introspect"]["post"]["responses"];
    assert_eq!(
        oauth["401"]["content"],
        json!({ "application/json": { "schema": { "$ref": "#/components/schemas/OAuthError" } } })
    );
    let headers = |status: &str| {
        let headers = oauth[status]["headers"].as_object().unwrap();
        headers.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        headers("401"),
        ["Cache-Control", "WWW-Authenticate", "X-Request-Id"]
    );
    assert_eq!(headers("429"), ["Cache-Control", "Retry-After", "X-Request-Id"]);
}
