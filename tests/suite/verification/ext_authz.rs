//! `envoy.service.auth.v3.Authorization/Check`.

#[path = "../../../middleware/src/endpoints/ext_authz/messages.rs"]
mod messages;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, uri::PathAndQuery};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::Message;
use serde_json::{Value, json};
use session_auth_server::config::Settings;
use session_auth_tests::{
    api::Issued,
    on_both_stores, python,
    redis::TestRedis,
    server::{PASSWORD, START, TestServer},
};
use tokio::time::{Instant, sleep};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;
use tower_session_auth::{
    clock::{ManualClock, Timestamp},
    endpoints::EXT_AUTHZ_PATH,
    session::OnReuse,
};

use self::messages::{
    AttributeContext, CheckRequest, CheckResponse, CheckedRequest, Extension, HeaderEntry, HeaderMap,
    HeaderValue, HeaderValueOption, HttpRequest, HttpResponse,
};

/// Calls the method as Envoy does.
struct Envoy(Channel);

/// A denial, as the client of the proxy receives it.
struct Denial {
    code: i32,
    status: i32,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Envoy {
    async fn of(server: &TestServer) -> Self {
        let endpoint = Endpoint::from_shared(server.api.base().to_owned()).expect("an endpoint");
        Self(endpoint.connect().await.expect("a connection"))
    }

    async fn call(&self, request: CheckRequest) -> Result<CheckResponse, Status> {
        let mut client = tonic::client::Grpc::new(self.0.clone());
        client.ready().await.expect("a ready connection");
        let codec = ProstCodec::<CheckRequest, CheckResponse>::default();
        let path = PathAndQuery::from_static(EXT_AUTHZ_PATH);
        let response = client.unary(tonic::Request::new(request), path, codec).await?;
        Ok(response.into_inner())
    }

    /// The headers that the proxy sets, and those that it removes.
    async fn admitted(&self, request: CheckRequest) -> (BTreeMap<String, String>, Vec<String>) {
        let response = self.call(request).await.expect("a verdict");
        assert_eq!(response.status.expect("a status").code, 0);
        let Some(HttpResponse::Ok(ok)) = response.http_response else {
            panic!("{:?}", response.http_response);
        };
        assert!(ok.headers.iter().all(|header| header.append_action == 2));
        (pairs(&ok.headers), ok.headers_to_remove)
    }

    async fn denied(&self, request: CheckRequest) -> Denial {
        let response = self.call(request).await.expect("a verdict");
        let Some(HttpResponse::Denied(denied)) = response.http_response else {
            panic!("{:?}", response.http_response);
        };
        let headers = pairs(&denied.headers);
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(headers["cache-control"], "no-store");
        Denial {
            code: response.status.expect("a status").code,
            status: denied.status.expect("a status").code,
            headers,
            body: serde_json::from_str(&denied.body).expect("a problem document"),
        }
    }

    async fn rejected(&self, request: CheckRequest, status: i32, code: &str) -> Denial {
        let denial = self.denied(request).await;
        assert_eq!(
            (denial.status, denial.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            denial.body
        );
        assert_eq!(denial.body["status"], status);
        denial
    }
}

fn pairs(headers: &[HeaderValueOption]) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let headers = headers.iter().filter_map(|option| option.header.as_ref());
    headers
        .map(|header| (text(&header.key), text(&header.value)))
        .collect()
}

/// A request of a client with these headers.
fn with_headers(headers: &[(&str, &str)]) -> CheckRequest {
    let entry = |(key, value): &(&str, &str)| HeaderEntry {
        key: key.as_bytes().to_vec(),
        value: value.as_bytes().to_vec(),
    };
    of_client(HttpRequest {
        method: "GET".to_owned(),
        path: "/hello?a=b".to_owned(),
        headers: headers.iter().map(entry).collect(),
        ..HttpRequest::default()
    })
}

fn of_client(http: HttpRequest) -> CheckRequest {
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(CheckedRequest { http: Some(http) }),
            context_extensions: vec![],
        }),
    }
}

fn with_token(token: &str) -> CheckRequest {
    with_headers(&[(":authority", "x"), ("authorization", &format!("Bearer {token}"))])
}

fn with_scope(token: &str, scope: &str) -> CheckRequest {
    let mut request = with_token(token);
    let attributes = request.attributes.as_mut().expect("attributes");
    attributes.context_extensions.push(Extension {
        key: "scope".to_owned(),
        value: scope.to_owned(),
    });
    request
}

async fn session(server: &TestServer, scopes: &[&str]) -> Issued {
    let agent = server.api.agent().await;
    let request = json!({ "agentId": agent, "ttl": 600, "scopes": scopes });
    server.api.create(request).await.expect(201).issued()
}

on_both_stores! {
    async fn admitted_request_gets_the_headers_of_its_session(server: TestServer) {
        let envoy = Envoy::of(&server).await;
        let session = session(&server, &["a", "b"]).await;
        let response = envoy.call(with_token(&session.token)).await.expect("a verdict");
        let metadata = response.dynamic_metadata.expect("metadata").fields;
        let metadata: BTreeMap<_, _> = metadata.into_iter().map(|field| (field.key, field.value)).collect();
        let id = metadata["session_id"].as_ref().and_then(|value| value.string_value.clone());
        assert_eq!(id.as_ref(), Some(&session.id));
        assert!(metadata.contains_key("agent_id"));
        let (headers, removed) = envoy.admitted(with_token(&session.token)).await;
        assert_eq!(headers["x-session-id"], session.id);
        assert_eq!(headers["x-agent-id"], session.body["agentId"]);
        assert_eq!(headers["x-session-expires-at"], session.body["expiresAt"].to_string());
        assert_eq!(headers["x-session-scopes"], "a b");
        assert!(removed.is_empty(), "{removed:?}");
    }

    async fn rejected_request_gets_the_challenge_and_the_problem(server: TestServer) {
        let envoy = Envoy::of(&server).await;
        let denial = envoy.rejected(with_headers(&[]), 401, "INVALID_TOKEN").await;
        assert_eq!((denial.code, &*denial.headers["www-authenticate"]), (16, "Bearer realm=\"session\""));
        assert_eq!(denial.body["requestId"], denial.headers["x-request-id"]);
        let first = session(&server, &[]).await;
        server.advance(400);
        let renewed = server.api.renew(&first.id, &first.token).await.expect(200).issued();
        let denial = envoy.rejected(with_token(&first.token), 401, "TOKEN_SUPERSEDED").await;
        assert_eq!(denial.headers["www-authenticate"], "Bearer realm=\"session\", error=\"invalid_token\"");
        server.advance(600);
        envoy.rejected(with_token(&renewed.token), 401, "TOKEN_EXPIRED").await;
        let revoked = session(&server, &[]).await;
        server.api.revoke(&revoked.id).await.expect(200);
        assert_eq!(envoy.rejected(with_token(&revoked.token), 401, "SESSION_REVOKED").await.code, 16);
        envoy.rejected(with_token("wai_sess_forged"), 401, "INVALID_TOKEN").await;
    }

    async fn scopes_of_the_route_are_required(server: TestServer) {
        let envoy = Envoy::of(&server).await;
        let session = session(&server, &["a", "b"]).await;
        envoy.admitted(with_scope(&session.token, "b a")).await;
        let denial = envoy.rejected(with_scope(&session.token, "a admin"), 403, "INSUFFICIENT_SCOPE").await;
        assert_eq!(denial.code, 7);
        let challenge = "Bearer realm=\"session\", error=\"insufficient_scope\", scope=\"a admin\"";
        assert_eq!(denial.headers["www-authenticate"], challenge);
        for malformed in ["", " ", "a  b", "a\""] {
            let denial = envoy.rejected(with_scope(&session.token, malformed), 500, "INTERNAL_ERROR").await;
            assert_eq!(denial.code, 13);
        }
        // Without a session, the mistake of the operator stays hidden.
        envoy.rejected(with_scope("x", ""), 401, "INVALID_TOKEN").await;
    }

    async fn client_cannot_forge_an_identity(server: TestServer) {
        let envoy = Envoy::of(&server).await;
        let session = session(&server, &[]).await;
        let authorization = format!("Bearer {}", session.token);
        let forged = [
            ("authorization", &*authorization),
            ("x-session-id", "forged"),
            ("x-agent-id", "forged"),
            ("x_agent_id", "forged"),
            ("x-session-scopes", "admin"),
            ("scope", "a"),
        ];
        let (headers, removed) = envoy.admitted(with_headers(&forged)).await;
        assert_eq!(headers["x-session-id"], session.id);
        assert_eq!(headers["x-agent-id"], session.body["agentId"]);
        assert!(!headers.contains_key("x-session-scopes"));
        assert_eq!(removed, ["x_agent_id", "x-session-scopes"]);
    }

    async fn more_than_one_token_is_rejected(server: TestServer) {
        let envoy = Envoy::of(&server).await;
        let token = session(&server, &[]).await.token;
        let bearer = format!("Bearer {token}");
        // Envoy joins the values, or sends each of them.
        let joined = format!("{bearer},{bearer}");
        envoy.rejected(with_headers(&[("authorization", &joined)]), 401, "INVALID_TOKEN").await;
        for other in ["authorization", "Authorization"] {
            let request = with_headers(&[("authorization", &bearer), (other, &bearer)]);
            envoy.rejected(request, 401, "INVALID_TOKEN").await;
        }
        let raw = |values: &[&str]| {
            let header = |value: &&str| HeaderValue {
                key: b"authorization".to_vec(),
                value: vec![],
                raw_value: value.as_bytes().to_vec(),
            };
            of_client(HttpRequest {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                header_map: Some(HeaderMap { headers: values.iter().map(header).collect() }),
                ..HttpRequest::default()
            })
        };
        envoy.admitted(raw(&[&bearer])).await;
        envoy.rejected(raw(&[&bearer, &bearer]), 401, "INVALID_TOKEN").await;
        envoy.rejected(with_headers(&[("authorization", "a\0b")]), 400, "VALIDATION_FAILED").await;
    }

    async fn token_in_the_query_is_rejected(server: TestServer) {
        let envoy = Envoy::of(&server).await;
        let token = session(&server, &[]).await.token;
        let mut request = with_token(&token);
        let request_of = |request: &mut CheckRequest, path: String| {
            let attributes = request.attributes.as_mut().expect("attributes");
            let http = attributes.request.as_mut().and_then(|request| request.http.as_mut());
            http.expect("HTTP").path = path;
        };
        request_of(&mut request, format!("/a?token={token}"));
        envoy.rejected(request.clone(), 401, "INVALID_TOKEN").await;
        request_of(&mut request, "/a?token=x".to_owned());
        envoy.admitted(request).await;
    }

    async fn request_without_http_attributes_is_an_error(server: TestServer) {
        let envoy = Envoy::of(&server).await;
        let empty = CheckRequest::default();
        let mut no_request = with_token("x");
        no_request.attributes.as_mut().expect("attributes").request = None;
        let mut no_http = with_token("x");
        no_http.attributes.as_mut().expect("attributes").request = Some(CheckedRequest::default());
        for request in [empty, no_request, no_http] {
            let status = envoy.call(request).await.expect_err("an error");
            assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        }
    }
}

#[tokio::test]
async fn reused_token_revokes_the_session() {
    let server = TestServer::memory_with(|settings| settings.on_reuse = Some(OnReuse::Revoke)).await;
    let envoy = Envoy::of(&server).await;
    let first = session(&server, &[]).await;
    server.advance(400);
    let renewed = server
        .api
        .renew(&first.id, &first.token)
        .await
        .expect(200)
        .issued();
    server.advance(60);
    envoy.admitted(with_token(&renewed.token)).await;
    envoy
        .rejected(with_token(&first.token), 401, "TOKEN_SUPERSEDED")
        .await;
    envoy
        .rejected(with_token(&renewed.token), 401, "SESSION_REVOKED")
        .await;
}

/// A server whose Redis can be paused, and a session.
async fn pausable(adjust: impl FnOnce(&mut Settings)) -> (TestServer, TestRedis, String) {
    let redis = TestRedis::start();
    let mut settings = Settings {
        redis_url: Some(redis.url()),
        ..Settings::default()
    };
    adjust(&mut settings);
    let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
    let token = session(&server, &[]).await.token;
    (server, redis, token)
}

#[tokio::test]
async fn outage_of_the_store_is_a_503_and_never_an_admission() {
    let (server, mut redis, token) = pausable(|settings| settings.store_timeout_ms = Some(200)).await;
    let envoy = Envoy::of(&server).await;
    envoy.admitted(with_token(&token)).await;
    redis.pause();
    let denial = envoy.rejected(with_token(&token), 503, "STORE_UNAVAILABLE").await;
    assert_eq!((denial.code, &*denial.headers["retry-after"]), (14, "1"));
    redis.resume();
}

/// Sends a call without a gRPC library, which would enforce the deadline itself.
async fn raw_call(server: &TestServer, headers: &[(&str, &str)], message: &[u8]) -> Response<Bytes> {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("a length").to_be_bytes());
    frame.extend(message);
    let mut request = Request::post(format!("{}{EXT_AUTHZ_PATH}", server.api.base()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::from(frame)).expect("a request");
    let (parts, body) = client.request(request).await.expect("a response").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(parts, body)
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[tokio::test]
async fn call_past_its_deadline_has_no_verdict() {
    let (server, mut redis, token) = pausable(|_| {}).await;
    let message = with_token(&token).encode_to_vec();
    redis.pause();
    let started = Instant::now();
    let response = raw_call(&server, &[GRPC, ("grpc-timeout", "300m")], &message).await;
    assert_eq!(response.headers()["grpc-status"], "4");
    assert!(response.body().is_empty());
    assert!((Duration::from_millis(300)..Duration::from_secs(4)).contains(&started.elapsed()));
    redis.resume();
    let response = raw_call(&server, &[GRPC, ("grpc-timeout", "0m")], &message).await;
    assert_eq!(response.headers()["grpc-status"], "4");
    let response = raw_call(&server, &[GRPC, ("grpc-timeout", "soon")], &message).await;
    assert_eq!(response.headers()["grpc-status"], "3");
}

#[tokio::test]
async fn malformed_and_long_messages_have_no_verdict() {
    let server = TestServer::memory().await;
    let long = with_token(&"x".repeat(200 * 1024)).encode_to_vec();
    for message in [&[0xff_u8; 3][..], &long] {
        let response = raw_call(&server, &[GRPC], message).await;
        assert!(
            response.headers().contains_key("grpc-status"),
            "{:?}",
            response.headers()
        );
        assert_ne!(response.headers()["grpc-status"], "0");
        assert!(response.body().is_empty());
    }
    // The largest message with the headers that Envoy accepts by default.
    let envoy = Envoy::of(&server).await;
    let session = session(&server, &[]).await;
    let bearer = format!("Bearer {}", session.token);
    let cookie = "x".repeat(60 * 1024);
    envoy
        .admitted(with_headers(&[("authorization", &bearer), ("cookie", &cookie)]))
        .await;
}

#[tokio::test]
async fn other_protocols_get_an_http_error() {
    let server = TestServer::memory().await;
    let message = with_token("x").encode_to_vec();
    for content_type in [
        "application/grpc-web",
        "application/grpc+json",
        "application/json",
    ] {
        let response = raw_call(&server, &[("content-type", content_type)], &message).await;
        assert_eq!(response.status(), 415, "{content_type}");
    }
    assert_eq!(raw_call(&server, &[], &message).await.status(), 415);
    // HTTP/1.1
    let request = Request::post(EXT_AUTHZ_PATH)
        .header(GRPC.0, GRPC.1)
        .body(Full::default());
    server
        .api
        .send(request.expect("a request"))
        .await
        .rejected(415, "UNSUPPORTED_MEDIA_TYPE");
    let reply = server.api.anonymous(Method::GET, EXT_AUTHZ_PATH).await;
    reply.rejected(405, "METHOD_NOT_ALLOWED");
    assert_eq!(reply.header("allow"), "POST");
}

#[tokio::test]
async fn call_above_the_limit_of_requests_is_unavailable() {
    let (server, mut redis, token) = pausable(|settings| settings.max_requests = Some(1)).await;
    let envoy = Envoy::of(&server).await;
    redis.pause();
    let busy = Envoy(envoy.0.clone());
    let request = with_token(&token);
    let busy = tokio::spawn(async move { busy.call(request).await });
    sleep(Duration::from_millis(200)).await;
    // A credential of an administrator does not help: a client may have sent it to the proxy.
    let message = with_token(&token).encode_to_vec();
    for credential in [&[][..], &[("x-master-password", PASSWORD)]] {
        let headers = [&[GRPC][..], credential].concat();
        let response = raw_call(&server, &headers, &message).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "14");
    }
    redis.resume();
    let verdict = busy.await.expect("a call").expect("a verdict");
    assert!(matches!(verdict.http_response, Some(HttpResponse::Ok(_))));
    let served = "session_auth_http_responses_total{code=\"OVERLOADED\"}";
    assert_eq!(server.api.metric(served).await, Some(2.0));
}

/// Sends each line of its arguments as a token, with the complete messages of Envoy.
const CLIENT: &str = r#"
import sys, grpc
from google.protobuf.json_format import MessageToDict
from envoy.service.auth.v3 import external_auth_pb2 as auth, external_auth_pb2_grpc as services
from envoy.config.core.v3.base_pb2 import HeaderValueOption
check = services.AuthorizationStub(grpc.insecure_channel(sys.argv[1])).Check

def request(raw, token, scope=None):
    message = auth.CheckRequest()
    attributes = message.attributes
    attributes.source.principal = "someone"
    attributes.request.time.GetCurrentTime()
    http = attributes.request.http
    http.id, http.method, http.path, http.host, http.scheme = "1", "GET", "/a?b=c", "x", "http"
    http.size, http.protocol, http.body = -1, "HTTP/1.1", "a body"
    headers = {":method": "GET", ":path": "/a?b=c", "authorization": "Bearer " + token, "x-session-scopes": "admin"}
    for key, value in headers.items():
        if raw:
            http.header_map.headers.add(key=key, raw_value=value.encode())
        else:
            http.headers[key] = value
    attributes.context_extensions["virtual_host"] = "web"
    if scope:
        attributes.context_extensions["scope"] = scope
    attributes.metadata_context.filter_metadata["x"]["y"] = "z"
    return message

token = sys.argv[2]
for raw in (False, True):
    response = check(request(raw, token), timeout=20)
    assert response.WhichOneof("http_response") == "ok_response" and response.status.code == 0, response
    ok = response.ok_response
    headers = {option.header.key: option.header.value for option in ok.headers}
    assert all(option.append_action == HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD for option in ok.headers), ok
    assert sorted(headers) == ["x-agent-id", "x-session-expires-at", "x-session-id"], ok
    assert list(ok.headers_to_remove) == ["x-session-scopes"], ok
    metadata = MessageToDict(response.dynamic_metadata)
    assert metadata == {"session_id": headers["x-session-id"], "agent_id": headers["x-agent-id"]}, metadata
    assert MessageToDict(response).keys() == {"status", "okResponse", "dynamicMetadata"}, response

for sent, scope, status, code in ((token, "admin", 403, 7), ("x", None, 401, 16)):
    response = check(request(False, sent, scope), timeout=20)
    assert response.WhichOneof("http_response") == "denied_response" and response.status.code == code, response
    assert response.status.message, response
    denied = response.denied_response
    headers = {option.header.key: option.header.value for option in denied.headers}
    assert denied.status.code == status and f'"status":{status}' in denied.body, denied
    assert headers["www-authenticate"].startswith('Bearer realm="session", error='), denied

try:
    check(auth.CheckRequest(), timeout=20)
    raise AssertionError("an admission")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
print("OK", headers["content-type"])
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_client_with_the_messages_of_envoy_understands_every_verdict() {
    let packages = ["grpcio==1.76.0", "protobuf==7.36.2", "xds-protos==1.85.0"];
    let python = tokio::task::spawn_blocking(move || python::with_packages(&packages));
    let python = python.await.expect("a Python interpreter");
    let server = TestServer::memory().await;
    let token = session(&server, &[]).await.token;
    let address = server.address.to_string();
    let output = tokio::task::spawn_blocking(move || python::output(&python, CLIENT, &[&address, &token]));
    assert_eq!(
        output.await.expect("the client").trim(),
        "OK application/problem+json"
    );
}
