//! The responses to a check. Envoy treats a missing status as OK, so each response sets one.

use http::{HeaderMap, HeaderName, StatusCode};

use super::messages::{
    AppendAction, CheckResponse, DeniedHttpResponse, Field, HeaderValue, HeaderValueOption, HttpResponse,
    HttpStatus, OkHttpResponse, Status, StringValue, Struct,
};
use crate::{endpoints::forward_auth, response::code_of, session_auth::AuthenticatedSession};

/// Admits the request: the headers of the session replace those of the client.
///
/// A header without a value is removed, since Envoy may leave the client's in place. So is a name that many services read as one of the
/// session, such as `x_agent_id`.
pub(super) fn admitted(session: &AuthenticatedSession, client: &HeaderMap) -> CheckResponse {
    let identity = forward_auth::identity(session);
    let aliases = client.keys().filter(|name| {
        let is_same =
            |(own, _): &(HeaderName, String)| *own != **name && reads_as(name.as_str(), own.as_str());
        identity.iter().any(is_same)
    });
    let mut headers_to_remove: Vec<_> = aliases.map(|name| name.as_str().to_owned()).collect();
    let mut headers = Vec::new();
    for (name, value) in &identity {
        if value.is_empty() {
            headers_to_remove.push(name.as_str().to_owned());
        } else {
            headers.push(set(name, value.as_bytes(), AppendAction::OverwriteIfExistsOrAdd));
        }
    }
    let field = |key: &str, value: String| Field {
        key: key.to_owned(),
        value: Some(StringValue {
            string_value: Some(value),
        }),
    };
    CheckResponse {
        status: Some(Status::default()),
        http_response: Some(HttpResponse::Ok(OkHttpResponse {
            headers,
            headers_to_remove,
        })),
        dynamic_metadata: Some(Struct {
            fields: vec![
                field("session_id", session.session_id.to_string()),
                field("agent_id", session.agent_id.to_string()),
            ],
        }),
    }
}

/// Denies the request with this response to the client. `message` is for the log of the proxy.
pub(super) fn denied(status: StatusCode, headers: &HeaderMap, body: &[u8], message: String) -> CheckResponse {
    let mut sent: Vec<&HeaderName> = Vec::new();
    let headers = headers.iter().map(|(name, value)| {
        let action = if sent.contains(&name) {
            AppendAction::AppendIfExistsOrAdd
        } else {
            AppendAction::OverwriteIfExistsOrAdd
        };
        sent.push(name);
        set(name, value.as_bytes(), action)
    });
    CheckResponse {
        http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
            status: Some(HttpStatus {
                code: status.as_u16().into(),
            }),
            headers: headers.collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        })),
        status: Some(Status {
            code: code_of(status).into(),
            message,
        }),
        dynamic_metadata: None,
    }
}

fn set(name: &HeaderName, value: &[u8], action: AppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.as_str().as_bytes().to_vec(),
            value: value.to_vec(),
            raw_value: vec![],
        }),
        append_action: action.into(),
    }
}

/// True if a service that replaces other characters than letters and digits by `_`, as CGI does with `-`, reads both names as one.
fn reads_as(one: &str, other: &str) -> bool {
    let same = |(one, other): (u8, u8)| {
        one == other || !(one.is_ascii_alphanumeric() || other.is_ascii_alphanumeric())
    };
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;
    use crate::{
        error::{AuthError, ErrorKind},
        response::problem_response,
        test_support::{claims, record},
    };

    fn session(scopes: &str) -> AuthenticatedSession {
        let mut session = AuthenticatedSession::new(&record(&claims()), &claims());
        session.scopes = scopes.parse().unwrap_or_default();
        session
    }

    fn ok(response: CheckResponse) -> OkHttpResponse {
        assert_eq!(response.status, Some(Status::default()));
        match response.http_response {
            Some(HttpResponse::Ok(ok)) => ok,
            other => panic!("{other:?}"),
        }
    }

    fn pairs(headers: &[HeaderValueOption]) -> Vec<(String, String, i32)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let pair = |option: &HeaderValueOption| {
            let header = option.header.as_ref().unwrap();
            (text(&header.key), text(&header.value), option.append_action)
        };
        headers.iter().map(pair).collect()
    }

    #[test]
    fn headers_of_the_session_overwrite_those_of_the_client() {
        let ok = ok(admitted(&session("a b"), &HeaderMap::new()));
        let expected = [
            ("x-session-id", claims().session_id.to_string()),
            ("x-agent-id", claims().agent_id.to_string()),
            ("x-session-expires-at", claims().expires_at.0.to_string()),
            ("x-session-scopes", "a b".to_owned()),
        ];
        assert_eq!(
            pairs(&ok.headers),
            expected.map(|(name, value)| (name.to_owned(), value, 2))
        );
        assert!(ok.headers_to_remove.is_empty());
    }

    #[test]
    fn header_that_is_not_set_is_removed_and_so_is_every_alias() {
        let mut client = HeaderMap::new();
        for name in [
            "x-session-scopes",
            "x-agent-id",
            "x_agent_id",
            "x.session-id",
            "x-agent-ids",
            "x-agent0id",
        ] {
            client.insert(name, http::HeaderValue::from_static("forged"));
        }
        let mut removed = ok(admitted(&session(""), &client)).headers_to_remove;
        removed.sort();
        assert_eq!(removed, ["x-session-scopes", "x.session-id", "x_agent_id"]);
    }

    #[test]
    fn dynamic_metadata_names_session_and_agent() {
        let metadata = admitted(&session(""), &HeaderMap::new())
            .dynamic_metadata
            .unwrap();
        let value = |field: &Field| field.value.clone().unwrap().string_value.unwrap();
        let fields: Vec<_> = metadata
            .fields
            .iter()
            .map(|field| (&*field.key, value(field)))
            .collect();
        let expected = [
            ("session_id", claims().session_id.to_string()),
            ("agent_id", claims().agent_id.to_string()),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn denial_has_the_response_and_a_status_that_is_not_ok() {
        for (error, status, code) in [
            (AuthError::missing_token(), 401, 16),
            (AuthError::insufficient_scope("a"), 403, 7),
            (ErrorKind::StoreUnavailable.into(), 503, 14),
            (ErrorKind::ValidationFailed.into(), 400, 3),
            (ErrorKind::InternalError.into(), 500, 13),
        ] {
            let problem = problem_response(&error, "session", &HeaderMap::new());
            let response = denied(problem.status(), problem.headers(), b"{}", "x".to_owned());
            assert_eq!(response.status.map(|status| status.code), Some(code), "{error}");
            let Some(HttpResponse::Denied(denied)) = response.http_response else {
                panic!("{error}");
            };
            assert_eq!(denied.status.map(|status| status.code), Some(status));
            assert_eq!(denied.body, "{}");
            assert_eq!(denied.headers.len(), problem.headers().len());
        }
        // 200 is no status of an error. It would still be a denial.
        let response = denied(StatusCode::OK, &HeaderMap::new(), b"", String::new());
        assert_ne!(response.status.map(|status| status.code), Some(0));
    }

    #[test]
    fn second_value_of_a_header_is_appended() {
        let mut headers = HeaderMap::new();
        for challenge in ["Bearer", "DPoP"] {
            headers.append(
                header::WWW_AUTHENTICATE,
                http::HeaderValue::from_static(challenge),
            );
        }
        let response = denied(StatusCode::UNAUTHORIZED, &headers, b"", String::new());
        let Some(HttpResponse::Denied(denied)) = response.http_response else {
            panic!("a denial");
        };
        let name = || "www-authenticate".to_owned();
        let expected = [(name(), "Bearer".to_owned(), 2), (name(), "DPoP".to_owned(), 0)];
        assert_eq!(pairs(&denied.headers), expected);
    }
}
