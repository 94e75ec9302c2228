//! The request that Envoy asks about, in the form that the layers read.

use http::{HeaderName, HeaderValue, Method, Request, uri::PathAndQuery};

use super::messages::{Extension, HttpRequest};
use crate::{
    error::{AuthError, ErrorKind},
    require_scope::ScopeRequirement,
    session::InvalidScopes,
};

/// The key of the operator's scopes in `context_extensions`.
const SCOPE: &str = "scope";

/// Makes the head of the checked request.
///
/// A part that cannot be read is an error, also if no layer needs it: it could be the second of two tokens.
pub(super) fn head(http: HttpRequest) -> Result<Request<()>, AuthError> {
    let malformed = |field: &str| AuthError::invalid_field(field, "is malformed");
    let mut head = Request::new(());
    *head.method_mut() = Method::from_bytes(http.method.as_bytes()).map_err(|_| malformed("method"))?;
    let mut path = http.path;
    // Envoy sends the query in the path.
    if !http.query.is_empty() {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(&http.query);
    }
    // A `CONNECT` request has no path.
    if !path.is_empty() {
        // The layers look for a token in the query. Characters that a URI cannot have become `_`: no token contains them.
        let readable = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '`' | '#' | '"' | '\\');
        let path: String = path.chars().map(|c| if readable(c) { c } else { '_' }).collect();
        let path = PathAndQuery::try_from(path).map_err(|_| malformed("path"))?;
        *head.uri_mut() = path.into();
    }
    let entries = http.headers.into_iter().map(|entry| (entry.key, entry.value));
    let raw = http.header_map.into_iter().flat_map(|map| map.headers);
    let raw = raw.map(|header| (header.key, [header.value, header.raw_value].concat()));
    for (key, value) in entries.chain(raw) {
        // A pseudo-header of HTTP/2.
        if key.starts_with(b":") {
            continue;
        }
        let name = HeaderName::try_from(key).map_err(|_| malformed("headers"))?;
        let value = HeaderValue::try_from(value).map_err(|_| malformed("headers"))?;
        head.headers_mut().append(name, value);
    }
    Ok(head)
}

/// The scopes that the operator demands for the route. The client has no influence on them.
///
/// # Errors
/// `InternalError` for an empty or malformed list, because the operator would otherwise demand nothing.
pub(super) fn required_scopes(extensions: &[Extension]) -> Result<Option<ScopeRequirement>, AuthError> {
    let demands = extensions.iter().filter(|extension| extension.key == SCOPE);
    ScopeRequirement::demanded(demands.map(|extension| &*extension.value))
        .map_err(|error| AuthError::new(ErrorKind::InternalError).with_internal_cause(InvalidDemand(error)))
}

#[derive(Debug, thiserror::Error)]
#[error("the scope in context_extensions {0}")]
struct InvalidDemand(InvalidScopes);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::ext_authz::messages::{self, HeaderEntry, HeaderMap};

    fn request(headers: &[(&str, &str)]) -> HttpRequest {
        let entry = |(key, value): &(&str, &str)| HeaderEntry {
            key: key.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
        };
        HttpRequest {
            method: "GET".to_owned(),
            path: "/a/b?c=d".to_owned(),
            headers: headers.iter().map(entry).collect(),
            ..HttpRequest::default()
        }
    }

    fn values(head: &Request<()>, name: &str) -> Vec<String> {
        let values = head.headers().get_all(name).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }

    #[test]
    fn head_has_method_path_query_and_headers() {
        let head = head(request(&[
            (":path", "/x"),
            ("authorization", "Bearer a"),
            ("x", "ü"),
        ]))
        .unwrap();
        assert_eq!(
            (head.method(), head.uri().to_string()),
            (&Method::GET, "/a/b?c=d".to_owned())
        );
        assert_eq!(values(&head, "authorization"), ["Bearer a"]);
        assert_eq!(values(&head, "x"), ["ü"]);
        assert_eq!(head.headers().len(), 2);
    }

    #[test]
    fn raw_headers_are_read_and_every_duplicate_is_kept() {
        let raw = |key: &str, value: &[u8]| messages::HeaderValue {
            key: key.as_bytes().to_vec(),
            value: vec![],
            raw_value: value.to_vec(),
        };
        let mut http = request(&[("Authorization", "Bearer a"), ("authorization", "Bearer b")]);
        http.header_map = Some(HeaderMap {
            headers: vec![
                raw("authorization", b"Bearer c"),
                raw("authorization", b"Bearer \xff"),
            ],
        });
        let head = head(http).unwrap();
        let found = values(&head, "authorization");
        assert_eq!(found, ["Bearer a", "Bearer b", "Bearer c", "Bearer \u{fffd}"]);
    }

    #[test]
    fn separate_query_is_examined_too() {
        for (path, expected) in [("/a", "/a?x=y"), ("/a?c=d", "/a?c=d&x=y")] {
            let mut http = request(&[]);
            (http.path, http.query) = (path.to_owned(), "x=y".to_owned());
            assert_eq!(head(http).unwrap().uri().to_string(), expected);
        }
    }

    #[test]
    fn malformed_part_is_an_error() {
        for headers in [
            [("a b", "x")],
            [("", "x")],
            [("x", "a\r\nb")],
            [("authorization", "Bearer a\0")],
        ] {
            assert!(head(request(&headers)).is_err(), "{headers:?}");
        }
        for (method, path) in [("", "/"), ("G T", "/"), ("GET", "a b")] {
            let http = HttpRequest {
                method: method.to_owned(),
                path: path.to_owned(),
                ..HttpRequest::default()
            };
            assert!(head(http).is_err(), "{method} {path}");
        }
        // `/v1/auth` does not see the path, so it has no effect here either.
        let mut odd = request(&[]);
        odd.path = "/<a b>`#\"?c=d".to_owned();
        assert_eq!(head(odd).unwrap().uri().query(), Some("c=d"));
        let mut connect = request(&[]);
        connect.path.clear();
        assert_eq!(head(connect).unwrap().uri(), "/");
    }

    #[test]
    fn empty_or_malformed_demand_is_an_error_and_never_no_demand() {
        let demand = |extensions: &[(&str, &str)]| {
            let extension = |(key, value): &(&str, &str)| Extension {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            };
            let extensions: Vec<_> = extensions.iter().map(extension).collect();
            required_scopes(&extensions).map_err(|error| error.kind())
        };
        let scopes = |text: &str| Ok(Some(ScopeRequirement::all(text).unwrap()));
        assert_eq!(demand(&[]), Ok(None));
        assert_eq!(demand(&[("other", "x")]), Ok(None));
        assert_eq!(demand(&[("scope", "a b")]), scopes("a b"));
        assert_eq!(demand(&[("scope", "a"), ("scope", "b")]), scopes("a b"));
        for malformed in ["", " ", "a ", "a  b", "a\"", "a\n", "ä"] {
            assert_eq!(
                demand(&[("scope", malformed)]),
                Err(ErrorKind::InternalError),
                "{malformed:?}"
            );
        }
        assert_eq!(
            demand(&[("scope", "a"), ("scope", "")]),
            Err(ErrorKind::InternalError)
        );
    }
}
