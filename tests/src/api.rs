//! An HTTP client that speaks the wire contract.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A client of one server, with the master password at hand.
#[derive(Clone)]
pub struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    password: String,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// `Null` where there is no body, text where there are metrics.
    pub body: Value,
}

/// A session with its token, as it was opened or renewed.
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

    pub fn with_password(&self, password: &str) -> Self {
        Self {
            password: password.to_owned(),
            ..self.clone()
        }
    }

    /// Sends any request; its URI is a path.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        self.try_send(request).await.expect("an answer")
    }

    /// `None` where there is no answer.
    async fn try_send(&self, mut request: Request<Full<Bytes>>) -> Option<Reply> {
        *request.uri_mut() = format!("{}{}", self.base, request.uri()).parse().expect("a URI");
        let response = self.client.request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = if bytes.is_empty() {
            Value::Null
        } else if parts
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == OPENMETRICS)
        {
            Value::String(String::from_utf8(bytes.into()).expect("text"))
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("not JSON: {bytes:?}"))
        };
        Some(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    /// A request of the administrator.
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

    /// A metric without labels; `None` where it is not told.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let reply = self.master(Method::GET, "/metrics", None).await.expect(200);
        let text = reply.body.as_str().expect("text");
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().map(|value| value.parse().expect("a number"))
    }

    /// A request of an agent.
    pub async fn bearer(&self, method: Method, path: &str, token: &str) -> Reply {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        self.send(request.body(Full::default()).expect("a request")).await
    }

    /// A request with no credentials and no body.
    pub async fn open(&self, method: Method, path: &str) -> Reply {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Full::default()).expect("a request")).await
    }

    /// A fresh agent's id.
    pub async fn agent(&self) -> String {
        self.agent_reply().await.expect(201).text("id")
    }

    pub async fn agent_reply(&self) -> Reply {
        self.master(Method::POST, "/v1/agents", Some(json!({}))).await
    }

    /// Like [`open`](Self::open); `None` while nobody listens.
    pub async fn try_open(&self, method: Method, path: &str) -> Option<Reply> {
        let request = Request::builder().method(method).uri(path);
        self.try_send(request.body(Full::default()).expect("a request"))
            .await
    }

    pub async fn create(&self, body: Value) -> Reply {
        self.master(Method::POST, "/v1/sessions", Some(body)).await
    }

    /// A fresh session of an agent.
    pub async fn session(&self, agent: &str) -> Issued {
        self.create(json!({ "agentId": agent }))
            .await
            .expect(201)
            .issued()
    }

    pub async fn renew(&self, id: &str, token: &str) -> Reply {
        self.bearer(Method::PUT, &format!("/v1/sessions/{id}/renew"), token)
            .await
    }

    /// `None` where there is no answer.
    pub async fn try_renew(&self, id: &str, token: &str) -> Option<Reply> {
        let request = Request::put(format!("/v1/sessions/{id}/renew"));
        let request = request.header("authorization", format!("Bearer {token}"));
        self.try_send(request.body(Full::default()).expect("a request"))
            .await
    }

    /// A renewal that can be repeated.
    pub async fn renew_with(&self, id: &str, token: &str, key: &str) -> Reply {
        let request = Request::put(format!("/v1/sessions/{id}/renew"))
            .header("authorization", format!("Bearer {token}"))
            .header("idempotency-key", key);
        self.send(request.body(Full::default()).expect("a request")).await
    }

    /// Puts a new token in place of a session's current one.
    pub async fn rotate(&self, id: &str) -> Reply {
        self.master(Method::POST, &format!("/v1/sessions/{id}/rotate"), None)
            .await
    }

    /// What the API says to a token: the simplest request that needs one.
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
    /// The reply itself if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Asserts a refusal with this code, in the form that all refusals have.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
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

    /// The code of a refusal; empty where there is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header's value; empty where there is none.
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

    /// The paths of what is wrong with the input.
    pub fn issue_paths(&self) -> Vec<&str> {
        let issues = self.body["details"]["issues"].as_array();
        issues
            .into_iter()
            .flatten()
            .filter_map(|issue| issue["path"].as_str())
            .collect()
    }

    /// The path and query of the next page.
    pub fn next(&self) -> Option<String> {
        let link = self.header("link").strip_prefix('<')?;
        Some(
            link.strip_suffix(">; rel=\"next\"")
                .expect("a link to the next page")
                .to_owned(),
        )
    }
}
