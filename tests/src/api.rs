//! A client of the server's HTTP API.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

/// A client of one server. It knows the master password.
#[derive(Clone)]
pub struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    password: String,
}

/// A complete response.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// `Null` without a body, a string for metrics.
    pub body: Value,
}

/// The response to a creation or renewal, with id and token.
#[derive(Debug, Clone)]
pub struct Issued {
    pub id: String,
    pub token: String,
    pub body: Value,
}

/// A plain HTTP client.
pub fn http_client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

impl Api {
    pub fn new(address: SocketAddr, password: &str) -> Self {
        Self {
            client: http_client(),
            base: format!("http://{address}"),
            password: password.to_owned(),
        }
    }

    /// The same API, mounted below a prefix.
    pub fn below(&self, prefix: &str) -> Self {
        Self {
            base: format!("{}{prefix}", self.base),
            ..self.clone()
        }
    }

    /// The URL before the path.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn with_password(&self, password: &str) -> Self {
        Self {
            password: password.to_owned(),
            ..self.clone()
        }
    }

    /// Sends a request whose URI is a path.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        self.try_send(request).await.expect("a response")
    }

    /// Returns `None` if no response arrives.
    async fn try_send(&self, mut request: Request<Full<Bytes>>) -> Option<Reply> {
        *request.uri_mut() = format!("{}{}", self.base, request.uri()).parse().expect("a URI");
        let response = self.client.request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            let is_text = parts
                .headers
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
            match serde_json::from_slice(&bytes) {
                Ok(body) => body,
                Err(_) if is_text => Value::String(String::from_utf8(bytes.into()).expect("text")),
                Err(_) => panic!("not JSON: {bytes:?}"),
            }
        };
        Some(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    /// Sends a request with the master password.
    pub async fn master(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("x-master-password", &self.password);
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Full::from(body.to_string())),
            None => request.body(Full::default()),
        };
        self.send(request.expect("a request")).await
    }

    /// Reads a metric without labels. Returns `None` if the server does not report it.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let reply = self.master(Method::GET, "/metrics", None).await.expect(200);
        let text = reply.body.as_str().expect("text");
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().map(|value| value.parse().expect("a number"))
    }

    /// Sends a request with a bearer token.
    pub async fn bearer(&self, method: Method, path: &str, token: &str) -> Reply {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        self.send(request.body(Full::default()).expect("a request")).await
    }

    /// Sends a request without credentials and body.
    pub async fn anonymous(&self, method: Method, path: &str) -> Reply {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Full::default()).expect("a request")).await
    }

    /// Registers an agent. Returns its id.
    pub async fn agent(&self) -> String {
        self.agent_reply().await.expect(201).text("id")
    }

    /// Registers an agent. Returns the response.
    pub async fn agent_reply(&self) -> Reply {
        self.master(Method::POST, "/v1/agents", Some(json!({}))).await
    }

    /// Like [`anonymous`](Self::anonymous). Returns `None` if no response arrives.
    pub async fn try_anonymous(&self, method: Method, path: &str) -> Option<Reply> {
        let request = Request::builder().method(method).uri(path);
        self.try_send(request.body(Full::default()).expect("a request"))
            .await
    }

    /// Sends `POST /v1/sessions`.
    pub async fn create(&self, body: Value) -> Reply {
        self.master(Method::POST, "/v1/sessions", Some(body)).await
    }

    /// Sends `POST /v1/sessions` with an idempotency key.
    pub async fn create_with(&self, body: Value, key: &str) -> Reply {
        self.post_with("/v1/sessions", body.to_string(), &[key]).await
    }

    /// Sends a body with the master password and these idempotency keys.
    pub async fn post_with(&self, path: &str, body: String, keys: &[&str]) -> Reply {
        self.send(self.post_request(path, body, keys)).await
    }

    /// Like [`post_with`](Self::post_with). Returns `None` if no response arrives.
    pub async fn try_post_with(&self, path: &str, body: &str, key: &str) -> Option<Reply> {
        self.try_send(self.post_request(path, body.to_owned(), &[key]))
            .await
    }

    fn post_request(&self, path: &str, body: String, keys: &[&str]) -> Request<Full<Bytes>> {
        let mut request = Request::post(path)
            .header("x-master-password", &self.password)
            .header("content-type", "application/json");
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        request.body(Full::from(body)).expect("a request")
    }

    /// Creates a session for an agent with the default settings.
    pub async fn session(&self, agent: &str) -> Issued {
        self.create(json!({ "agentId": agent }))
            .await
            .expect(201)
            .issued()
    }

    /// Renews a session without an idempotency key.
    pub async fn renew(&self, id: &str, token: &str) -> Reply {
        self.bearer(Method::PUT, &format!("/v1/sessions/{id}/renew"), token)
            .await
    }

    /// Like [`renew`](Self::renew). Returns `None` if no response arrives.
    pub async fn try_renew(&self, id: &str, token: &str) -> Option<Reply> {
        let request = Request::put(format!("/v1/sessions/{id}/renew"));
        let request = request.header("authorization", format!("Bearer {token}"));
        self.try_send(request.body(Full::default()).expect("a request"))
            .await
    }

    /// Renews a session with an idempotency key.
    pub async fn renew_with(&self, id: &str, token: &str, key: &str) -> Reply {
        let request = Request::put(format!("/v1/sessions/{id}/renew"))
            .header("authorization", format!("Bearer {token}"))
            .header("idempotency-key", key);
        self.send(request.body(Full::default()).expect("a request")).await
    }

    /// Rotates the token of a session, as an administrator.
    pub async fn rotate(&self, id: &str) -> Reply {
        self.master(Method::POST, &format!("/v1/sessions/{id}/rotate"), None)
            .await
    }

    /// Sends `GET /v1/session`, the simplest request that needs a token.
    pub async fn access(&self, token: &str) -> Reply {
        self.bearer(Method::GET, "/v1/session", token).await
    }

    pub async fn revoke(&self, id: &str) -> Reply {
        self.master(Method::DELETE, &format!("/v1/sessions/{id}"), None)
            .await
    }

    pub async fn list(&self, query: &str) -> Reply {
        self.master(Method::GET, &format!("/v1/sessions{query}"), None)
            .await
    }
}

impl Reply {
    /// Asserts the status. Returns the reply.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Asserts a rejection with this status and code, and the format of all error responses.
    #[track_caller]
    pub fn rejected(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["requestId"], self.header("x-request-id"));
        for member in ["type", "title", "detail"] {
            assert!(
                self.body[member].as_str().is_some_and(|text| !text.is_empty()),
                "{}",
                self.body
            );
        }
        assert!(self.body["retryable"].is_boolean(), "{}", self.body);
    }

    /// The code of an error response, or an empty string.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The value of a header, or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a visible header"))
    }

    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member}: {}", self.body))
            .to_owned()
    }

    #[track_caller]
    pub fn number(&self, member: &str) -> u64 {
        self.body[member]
            .as_u64()
            .unwrap_or_else(|| panic!("no {member}: {}", self.body))
    }

    #[track_caller]
    pub fn issued(self) -> Issued {
        Issued {
            id: self.text("id"),
            token: self.text("token"),
            body: self.body,
        }
    }

    /// The paths of all validation issues.
    pub fn issue_paths(&self) -> Vec<&str> {
        let issues = self.body["details"]["issues"].as_array();
        issues
            .into_iter()
            .flatten()
            .filter_map(|issue| issue["path"].as_str())
            .collect()
    }

    /// The query of the next page. The `Link` header is relative to the request, so the page works below any prefix.
    #[track_caller]
    pub fn next(&self) -> Option<String> {
        let link = self.header("link").strip_prefix('<')?;
        let target = link
            .strip_suffix(">; rel=\"next\"")
            .expect("a link to the next page");
        assert!(target.starts_with('?'), "not a relative query: {target}");
        Some(target.to_owned())
    }
}
