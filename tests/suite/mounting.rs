//! The complete API, mounted as a tower service in an axum, a hyper and a tonic server.

use std::{net::SocketAddr, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo, routing::get};
use http::{Method, Request};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::json;
use session_auth_tests::{
    api::{Api, Reply},
    server::{PASSWORD, START, cheap_hash},
};
use tokio::{net::TcpListener, spawn};
use tonic::{
    Code,
    service::Routes,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer as _;
use tower_session_auth::{
    AuthenticatedSession, KeySet, MasterAuthLayer, MemoryStore, SessionAuthority, SigningKey,
    clock::{ManualClock, Timestamp},
    master_auth::ClientAddrLayer,
};

/// The parts that a server mounts, and the clock of all of them.
struct Parts {
    authority: SessionAuthority<MemoryStore>,
    admin: MasterAuthLayer,
    clock: ManualClock,
}

fn parts() -> Parts {
    let clock = ManualClock::new(Timestamp(START));
    let keys = KeySet::single(SigningKey::generate().expect("a key"));
    let authority = SessionAuthority::builder(keys, MemoryStore::new())
        .clock(clock.clone())
        .build();
    Parts {
        authority: authority.expect("an authority"),
        admin: MasterAuthLayer::new(&cheap_hash()).expect("a layer"),
        clock,
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

#[tokio::test]
async fn axum_serves_the_api_below_a_prefix_beside_routes_of_its_own() {
    let Parts {
        authority,
        admin,
        clock,
    } = parts();
    let client_addr = ClientAddrLayer::from_request(|request| {
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
        peer.map(|ConnectInfo(peer)| peer.ip())
    });
    let app = Router::new()
        .route("/hello", get(hello))
        .route_layer(authority.layer())
        .nest_service("/auth/sessions", authority.endpoints(admin))
        .layer(client_addr)
        .into_make_service_with_connect_info::<SocketAddr>();
    let (listener, address) = listen().await;
    spawn(async { axum::serve(listener, app).await });

    let root = Api::new(address, PASSWORD);
    let api = root.below("/auth/sessions");
    let agent = api.agent().await;
    let token = api.session(&agent).await.token;
    let admitted = root.bearer(Method::GET, "/hello", &token).await.expect(200);
    assert_eq!(admitted.body, json!({ "agentId": agent }));
    let rejected = root.anonymous(Method::GET, "/hello").await;
    assert_eq!((rejected.status, rejected.code()), (401, "INVALID_TOKEN"));
    lives_a_whole_life(&api, &clock).await;
    wrong_passwords_lock_the_address(&api).await;
}

async fn hello(Extension(session): Extension<AuthenticatedSession>) -> String {
    json!({ "agentId": session.agent_id }).to_string()
}

#[tokio::test]
async fn axum_serves_the_api_as_its_fallback() {
    let Parts {
        authority,
        admin,
        clock,
    } = parts();
    let app: Router = Router::new().fallback_service(authority.endpoints(admin));
    let (listener, address) = listen().await;
    spawn(async { axum::serve(listener, app).await });
    lives_a_whole_life(&Api::new(address, PASSWORD), &clock).await;
}

#[tokio::test]
async fn hyper_serves_the_api() {
    let Parts {
        authority,
        admin,
        clock,
    } = parts();
    let endpoints = authority.endpoints(admin);
    let (listener, address) = listen().await;
    spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let service = ClientAddrLayer::new(peer.ip()).layer(endpoints.clone());
            let service = TowerToHyperService::new(service);
            spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let api = Api::new(address, PASSWORD);
    lives_a_whole_life(&api, &clock).await;
    wrong_passwords_lock_the_address(&api).await;
}

#[tokio::test]
async fn tonic_serves_the_api_below_a_prefix_beside_a_protected_grpc_service() {
    let Parts {
        authority,
        admin,
        clock,
    } = parts();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let router = Routes::new(health)
        .into_axum_router()
        .route_layer(authority.layer())
        .nest_service("/auth", authority.endpoints(admin));
    let (listener, address) = listen().await;
    let server = Server::builder()
        .accept_http1(true)
        .add_routes(Routes::from(router));
    spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let api = Api::new(address, PASSWORD).below("/auth");
    let token = api.session(&api.agent().await).await.token;
    let channel = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    let mut client = HealthClient::new(channel.connect().await.expect("a connection"));
    let rejected = client.check(HealthCheckRequest::default()).await;
    assert_eq!(rejected.expect_err("a rejection").code(), Code::Unauthenticated);
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    let bearer = format!("Bearer {token}").parse().expect("a value");
    request.metadata_mut().insert("authorization", bearer);
    client.check(request).await.expect("an answer");
    lives_a_whole_life(&api, &clock).await;
}

/// Calls every endpoint. Every response has a request id.
async fn lives_a_whole_life(api: &Api, clock: &ManualClock) {
    let agent = checked(api.agent_reply().await.expect(201)).text("id");
    let path = format!("/v1/agents/{agent}");
    checked(api.master(Method::GET, &path, None).await.expect(200));
    checked(api.master(Method::GET, "/v1/agents", None).await.expect(200));
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let created = api.create(json!({ "agentId": agent })).await.expect(201);
        sessions.push(checked(created).issued());
    }
    let [oldest, middle, newest] = &sessions[..] else {
        unreachable!()
    };
    let own = checked(api.access(&oldest.token).await.expect(200));
    assert_eq!(own.text("id"), oldest.id);

    let early = checked(api.renew(&oldest.id, &oldest.token).await);
    early.rejected(403, "RENEWAL_TOO_EARLY");
    clock.advance(Duration::from_secs(43_200));
    let renewed = api.renew(&oldest.id, &oldest.token).await.expect(200);
    let renewed = checked(renewed).issued();
    let old = checked(api.access(&oldest.token).await);
    old.rejected(401, "TOKEN_SUPERSEDED");
    let other = checked(api.renew(&middle.id, &renewed.token).await);
    other.rejected(404, "SESSION_NOT_FOUND");
    let rotated = checked(api.rotate(&middle.id).await.expect(200)).issued();

    let (mut listed, mut query) = (Vec::new(), Some(format!("?agentId={agent}&limit=1")));
    while let Some(next) = query {
        let page = checked(api.list(&next).await.expect(200));
        listed.extend(page.body.as_array().expect("an array").iter().map(|session| {
            let id = session["id"].as_str().expect("an id");
            id.to_owned()
        }));
        query = page.next();
    }
    assert_eq!(listed, [&*newest.id, &*middle.id, &*oldest.id], "newest first");

    checked(api.revoke(&oldest.id).await.expect(200));
    let revoked = checked(api.access(&renewed.token).await);
    revoked.rejected(401, "SESSION_REVOKED");
    let path = format!("/v1/sessions/{}", oldest.id);
    let read = checked(api.master(Method::GET, &path, None).await.expect(200));
    assert_eq!(read.text("status"), "REVOKED");
    let own = api.bearer(Method::DELETE, "/v1/session", &rotated.token).await;
    checked(own.expect(200));
    let path = format!("/v1/sessions?agentId={agent}");
    let all = checked(api.master(Method::DELETE, &path, None).await.expect(200));
    assert_eq!(all.number("revokedSessions"), 1);
    let path = format!("/v1/agents/{agent}");
    checked(api.master(Method::DELETE, &path, None).await.expect(200));
    rejects_bad_requests(api).await;
}

async fn rejects_bad_requests(api: &Api) {
    for path in ["/healthz", "/readyz"] {
        checked(api.anonymous(Method::GET, path).await.expect(200));
        checked(api.anonymous(Method::HEAD, path).await.expect(200));
    }
    checked(api.anonymous(Method::GET, "/v1/nowhere").await).rejected(404, "NOT_FOUND");
    let wrong_method = checked(api.anonymous(Method::PATCH, "/v1/sessions").await);
    wrong_method.rejected(405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong_method.header("allow"), "POST, GET, DELETE, HEAD");
    checked(api.anonymous(Method::GET, "/v1/session").await).rejected(401, "INVALID_TOKEN");
    checked(api.anonymous(Method::GET, "/v1/sessions").await).rejected(401, "INVALID_MASTER_PASSWORD");
    let invalid = checked(api.create(json!({ "agentId": 1 })).await);
    invalid.rejected(400, "VALIDATION_FAILED");
    let untyped = Request::post("/v1/agents")
        .header("x-master-password", PASSWORD)
        .body(Full::from("{}"));
    let untyped = checked(api.send(untyped.expect("a request")).await);
    untyped.rejected(415, "UNSUPPORTED_MEDIA_TYPE");
    let long = json!({ "name": "x".repeat(70_000) });
    let long = checked(api.master(Method::POST, "/v1/agents", Some(long)).await);
    long.rejected(413, "PAYLOAD_TOO_LARGE");
    let traced = Request::get("/healthz").header("x-request-id", "trace-42");
    let traced = api.send(traced.body(Full::default()).expect("a request")).await;
    assert_eq!(traced.header("x-request-id"), "trace-42");
}

async fn wrong_passwords_lock_the_address(api: &Api) {
    let wrong = api.with_password("wrong");
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(checked(wrong.list("").await).code().to_owned());
    }
    assert_eq!(codes[0], "INVALID_MASTER_PASSWORD");
    assert_eq!(codes[11], "MASTER_PASSWORD_LOCKED", "{codes:?}");
}

/// Checks that the response has a request id.
#[track_caller]
fn checked(reply: Reply) -> Reply {
    assert!(!reply.header("x-request-id").is_empty(), "{reply:?}");
    reply
}
