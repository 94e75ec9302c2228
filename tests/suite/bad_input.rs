//! Invalid requests get the status and code of the error table.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use session_auth_tests::{
    api::Reply,
    server::{PASSWORD, TestServer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const UUID: &str = "0190f3a1-7c1e-7d2a-9b3c-4d5e6f708192";

async fn post(
    server: &TestServer,
    path: &str,
    content_type: Option<&str>,
    body: impl Into<Vec<u8>>,
) -> Reply {
    let mut request = Request::post(path).header("x-master-password", PASSWORD);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let body = Full::from(body.into());
    server.api.send(request.body(body).expect("a request")).await
}

#[tokio::test]
async fn invalid_session_body_is_rejected_with_the_path_of_each_issue() {
    let server = TestServer::memory().await;
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(4096));
    let deep = format!("{}{}", "{\"a\":".repeat(200), "}".repeat(200));
    for (body, path) in [
        ("", "agentId"),
        ("{}", "agentId"),
        ("null", ""),
        ("[]", ""),
        (&format!("[\"{UUID}\"]"), ""),
        ("{", ""),
        ("{} {}", ""),
        ("\u{feff}{}", ""),
        (&format!("{{\"agentId\":\"{UUID}\",\"agentId\":\"{UUID}\"}}"), ""),
        (&format!("{{\"agentId\":\"{UUID}\",\"TTL\":300}}"), "TTL"),
        (r#"{"agentId":7}"#, "agentId"),
        (r#"{"agentId":"7"}"#, "agentId"),
        (
            &format!("{{\"agentId\":\"{}\"}}", UUID.replace('-', "")),
            "agentId",
        ),
        (&format!("{{\"agentId\":\"{UUID}\",\"ttl\":299}}"), "ttl"),
        (&format!("{{\"agentId\":\"{UUID}\",\"ttl\":604801}}"), "ttl"),
        (&format!("{{\"agentId\":\"{UUID}\",\"ttl\":-1}}"), "ttl"),
        (&format!("{{\"agentId\":\"{UUID}\",\"ttl\":300.5}}"), "ttl"),
        (&format!("{{\"agentId\":\"{UUID}\",\"ttl\":\"300\"}}"), "ttl"),
        (&format!("{{\"agentId\":\"{UUID}\",\"ttl\":1e99}}"), "ttl"),
        (
            &format!("{{\"agentId\":\"{UUID}\",\"maxRenewals\":31}}"),
            "maxRenewals",
        ),
        (
            &format!("{{\"agentId\":\"{UUID}\",\"maxRenewals\":4294967296}}"),
            "maxRenewals",
        ),
        (
            &format!("{{\"agentId\":\"{UUID}\",\"absoluteLifetime\":0}}"),
            "absoluteLifetime",
        ),
        (
            &format!("{{\"agentId\":\"{UUID}\",\"scopes\":[\"a b\"]}}"),
            "scopes",
        ),
        (&format!("{{\"agentId\":\"{UUID}\",\"scopes\":\"\"}}"), "scopes"),
        (&format!("{{\"agentId\":\"{UUID}\",\"scopes\":7}}"), "scopes"),
        (
            &format!("{{\"agentId\":\"{UUID}\",\"constraints\":[]}}"),
            "constraints",
        ),
        (
            &format!("{{\"agentId\":\"{UUID}\",\"constraints\":\"{{}}\"}}"),
            "constraints",
        ),
        (
            &format!("{{\"agentId\":\"{UUID}\",\"constraints\":{long}}}"),
            "constraints",
        ),
        (
            &format!("{{\"agentId\":\"{UUID}\",\"constraints\":{deep}}}"),
            "constraints",
        ),
    ] {
        let reply = post(&server, "/v1/sessions", Some("application/json"), body).await;
        reply.rejected(400, "VALIDATION_FAILED");
        assert_eq!(reply.issue_paths(), [path], "{body}: {}", reply.body);
    }
    let invalid_utf8 = post(
        &server,
        "/v1/sessions",
        Some("application/json"),
        b"{\"a\":\"\xff\"}",
    )
    .await;
    invalid_utf8.rejected(400, "VALIDATION_FAILED");
    let all = json!({ "agentId": UUID, "ttl": 1, "maxRenewals": 99, "absoluteLifetime": 0 });
    let all = server.api.create(all).await;
    assert_eq!(all.issue_paths(), ["ttl", "maxRenewals", "absoluteLifetime"]);
}

/// Some languages write every number with a fraction, and JSON Schema counts 300.0 as an integer.
#[tokio::test]
async fn integer_may_have_a_fraction_of_zero() {
    let server = TestServer::memory().await;
    let agent = server.api.agent().await;
    let body = json!({ "agentId": agent, "ttl": 300.0, "maxRenewals": 2.0, "absoluteLifetime": 3.6e3 });
    let session = server.api.create(body).await.expect(201);
    assert_eq!(session.number("maxRenewals"), 2);
    assert_eq!(session.number("expiresAt"), server.now() + 300);
    assert_eq!(session.number("absoluteExpiresAt"), server.now() + 3600);
    for (field, value) in [
        ("maxRenewals", 0.5),
        ("maxRenewals", -1.0),
        ("maxRenewals", 4294967296.0),
        ("ttl", 1e16),
    ] {
        let mut body = json!({ "agentId": agent });
        body[field] = value.into();
        let reply = server.api.create(body).await;
        reply.rejected(400, "VALIDATION_FAILED");
        assert_eq!(reply.issue_paths(), [field], "{value}");
    }
}

#[tokio::test]
async fn invalid_agent_body_is_rejected_with_the_path_of_each_issue() {
    let server = TestServer::memory().await;
    for (body, path) in [
        (json!({ "id": "x" }), "id"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(201) }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "name": 7 }), "name"),
        (json!({ "nmae": "x" }), "nmae"),
    ] {
        let reply = server
            .api
            .master(Method::POST, "/v1/agents", Some(body.clone()))
            .await;
        reply.rejected(400, "VALIDATION_FAILED");
        assert_eq!(reply.issue_paths(), [path], "{body}");
    }
    let longest = json!({ "name": "x".repeat(200) });
    server
        .api
        .master(Method::POST, "/v1/agents", Some(longest))
        .await
        .expect(201);
}

#[tokio::test]
async fn invalid_ids_and_queries_are_rejected_with_the_name_of_each_issue() {
    let server = TestServer::memory().await;
    for (method, path, issues) in [
        (Method::GET, "/v1/sessions/x", &["id"][..]),
        (Method::DELETE, "/v1/sessions/%00", &["id"]),
        (Method::GET, "/v1/agents/x", &["id"]),
        (Method::DELETE, "/v1/agents/x", &["id"]),
        (Method::GET, "/v1/sessions?agentId=x", &["agentId"]),
        (Method::GET, "/v1/sessions?agentid=x", &["agentid"]),
        (Method::GET, "/v1/sessions?limit=0", &["limit"]),
        (Method::GET, "/v1/sessions?limit=501", &["limit"]),
        (Method::GET, "/v1/sessions?limit=-1", &["limit"]),
        (Method::GET, "/v1/sessions?limit=1&limit=2", &["limit"]),
        (Method::GET, "/v1/sessions?cursor=x", &["cursor"]),
        (Method::GET, "/v1/sessions?cursor=", &["cursor"]),
        (Method::GET, "/v1/agents?cursor=AAAA", &["cursor"]),
        (Method::DELETE, "/v1/sessions", &["agentId"]),
        (Method::DELETE, "/v1/sessions?agentId=", &["agentId"]),
        (Method::DELETE, "/v1/sessions?agent=x&all=1", &["agent", "all"]),
    ] {
        let reply = server.api.master(method, path, None).await;
        reply.rejected(400, "VALIDATION_FAILED");
        assert_eq!(reply.issue_paths(), issues, "{path}");
    }
}

#[tokio::test]
async fn body_must_be_json_and_within_the_size_limit() {
    let server = TestServer::memory().await;
    let body = || json!({ "name": "x" }).to_string();
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
    ] {
        let reply = post(&server, "/v1/agents", content_type, body()).await;
        reply.rejected(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        post(&server, "/v1/agents", Some(content_type), body())
            .await
            .expect(201);
    }
    let largest = format!("{{\"name\":\"{}\"}}", "x".repeat(65_536 - 11));
    let reply = post(&server, "/v1/agents", Some("application/json"), largest.clone()).await;
    reply.rejected(400, "VALIDATION_FAILED");
    let reply = post(&server, "/v1/agents", Some("application/json"), largest + " ").await;
    reply.rejected(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn unknown_path_is_404_and_unknown_method_is_405() {
    let server = TestServer::memory().await;
    for path in ["/", "/v1", "/v1/sessions/", "/v1/sessions/x/y", "/favicon.ico"] {
        server
            .api
            .anonymous(Method::GET, path)
            .await
            .rejected(404, "NOT_FOUND");
    }
    for (method, path, allow) in [
        (Method::PATCH, "/v1/sessions", "POST, GET, DELETE, HEAD"),
        (Method::POST, "/v1/session", "GET, DELETE, HEAD"),
        (Method::GET, "/v1/sessions/x/renew", "PUT"),
        (Method::OPTIONS, "/healthz", "GET, HEAD"),
    ] {
        let reply = server.api.anonymous(method, path).await;
        reply.rejected(405, "METHOD_NOT_ALLOWED");
        assert_eq!(reply.header("allow"), allow);
    }
}

#[tokio::test]
async fn malformed_credentials_are_rejected() {
    let server = TestServer::memory().await;
    let token = server.api.session(&server.api.agent().await).await.token;
    let with = async |uri: &str, headers: &[(&str, &[u8])]| {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        server
            .api
            .send(request.body(Full::default()).expect("a request"))
            .await
    };
    let good = format!("Bearer {token}");
    for scheme in ["bearer", "BEARER", "Bearer"] {
        with(
            "/v1/session",
            &[("authorization", format!("{scheme} {token}").as_bytes())],
        )
        .await
        .expect(200);
    }
    let long = format!("Bearer {}", "x".repeat(4090));
    for headers in [
        &[
            ("authorization", good.as_bytes()),
            ("authorization", good.as_bytes()),
        ][..],
        &[("authorization", long.as_bytes())],
        &[("authorization", b"Bearer")],
        &[("authorization", b"Bearer ")],
        &[("authorization", b"Basic YTpi")],
        &[("authorization", token.as_bytes())],
        &[("authorization", b"Bearer \xff\xfe")],
    ] {
        with("/v1/session", headers).await.rejected(401, "INVALID_TOKEN");
    }
    with(&format!("/v1/session?access_token={token}"), &[])
        .await
        .rejected(401, "INVALID_TOKEN");
    let both = with(
        &format!("/v1/session?t={token}"),
        &[("authorization", good.as_bytes())],
    )
    .await;
    both.rejected(401, "INVALID_TOKEN");
    let encoded = token.replace('_', "%5F").replace('.', "%2e");
    for query in [&*format!("t={encoded}"), &*token, &format!("t=Bearer%20{token}")] {
        let reply = with(
            &format!("/v1/session?{query}"),
            &[("authorization", good.as_bytes())],
        )
        .await;
        reply.rejected(401, "INVALID_TOKEN");
    }
    let other = "/v1/session?access%5Ftoken=of-the-application";
    let other = with(other, &[("authorization", good.as_bytes())]).await;
    other.expect(200);
    let password: &[u8] = PASSWORD.as_bytes();
    let twice = with(
        "/v1/sessions",
        &[("x-master-password", password), ("x-master-password", password)],
    )
    .await;
    twice.rejected(401, "INVALID_MASTER_PASSWORD");
}

#[tokio::test]
async fn detail_names_the_mistake_in_the_authorization_header() {
    let server = TestServer::memory().await;
    let token = server.api.session(&server.api.agent().await).await.token;
    for (value, detail) in [
        (format!("Bearer: {token}"), "A colon follows Bearer"),
        (format!("Bearer\t{token}"), "A tab follows Bearer"),
        (format!("Bearer \"{token}\""), "in quotes"),
        (format!("Bearer <{token}>"), "in quotes or brackets"),
        (format!("Bearer{token}"), "A space is missing"),
        (token.clone(), "The scheme Bearer is missing"),
        ("Bearer".to_owned(), "no token after Bearer"),
        (format!("Bearer {token}, {token}"), "one token and nothing else"),
    ] {
        let request = Request::get("/v1/session").header("authorization", &value);
        let request = request.body(Full::default()).expect("a request");
        let reply = server.api.send(request).await;
        reply.rejected(401, "INVALID_TOKEN");
        assert!(reply.text("detail").contains(detail), "{value}: {}", reply.body);
        assert_eq!(
            reply.header("www-authenticate"),
            "Bearer realm=\"session\", error=\"invalid_token\"",
            "{value}"
        );
    }
    let basic = Request::get("/v1/session").header("authorization", "Basic YTpi");
    let basic = basic.body(Full::default()).expect("a request");
    let basic = server.api.send(basic).await;
    basic.rejected(401, "INVALID_TOKEN");
    assert_eq!(basic.header("www-authenticate"), "Bearer realm=\"session\"");
}

#[tokio::test]
async fn slow_body_gets_a_408_response() {
    let server = TestServer::memory_with(|settings| settings.request_timeout_ms = Some(50)).await;
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    let head = format!(
        "POST /v1/agents HTTP/1.1\r\nhost: x\r\nx-master-password: {PASSWORD}\r\n\
         content-type: application/json\r\ncontent-length: 10\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.expect("a request");
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("REQUEST_TIMEOUT"), "{answer}");
}

#[tokio::test]
async fn chunked_body_over_the_limit_gets_a_413_response() {
    let server = TestServer::memory().await;
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    let head = format!(
        "POST /v1/agents HTTP/1.1\r\nhost: x\r\nx-master-password: {PASSWORD}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a request");
    let chunk = format!("10001\r\n{}\r\n0\r\n\r\n", " ".repeat(0x10001));
    let _ = stream.write_all(chunk.as_bytes()).await;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.contains("PAYLOAD_TOO_LARGE"), "{answer}");
}
