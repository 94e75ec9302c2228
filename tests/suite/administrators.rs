//! Named admin keys on the reference server: rights, agents, metrics.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use session_auth_server::config::Settings;
use session_auth_tests::{
    admin_keys::{KeyFile, basic, rights},
    api::Reply,
    server::{PASSWORD, TestServer},
};
use tower_session_auth::{AgentId, master_auth::Right};

fn new_agent() -> String {
    AgentId::generate().expect("an id").to_string()
}

/// Sends a request with an `Authorization` header.
async fn send(
    server: &TestServer,
    authorization: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", authorization);
    let request = match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(Full::from(body.to_string())),
        None => request.body(Full::default()),
    };
    server.api.send(request.expect("a request")).await
}

#[tokio::test]
async fn metrics_demand_exactly_the_right_metrics_by_bearer_and_by_basic() {
    let keys = Right::ALL.iter().map(|right| {
        let name = right.as_str();
        (name, rights(&[name]))
    });
    let keys: [_; 7] = keys.collect::<Vec<_>>().try_into().expect("seven rights");
    let (file, secrets) = KeyFile::new(keys);
    let server = TestServer::memory_with(|settings| file.set(settings)).await;
    for (right, secret) in Right::ALL.iter().zip(&secrets) {
        for authorization in [format!("Bearer {secret}"), basic(right.as_str(), secret)] {
            let reply = send(&server, &authorization, Method::GET, "/metrics", None).await;
            if *right == Right::Metrics {
                let reply = reply.expect(200);
                let text = reply.body.as_str().expect("text");
                assert!(text.contains("session_auth_build_info"), "{text}");
            } else {
                reply.rejected(403, "FORBIDDEN");
            }
        }
        let other_name = basic("master", secret);
        let reply = send(&server, &other_name, Method::GET, "/metrics", None).await;
        reply.rejected(401, "INVALID_MASTER_PASSWORD");
    }
    // Other routes do not accept HTTP Basic.
    let list = basic("list", &secrets[1]);
    let reply = send(&server, &list, Method::GET, "/v1/sessions", None).await;
    reply.rejected(401, "INVALID_MASTER_PASSWORD");
    server.api.master(Method::GET, "/metrics", None).await.expect(200);
}

#[tokio::test]
async fn server_needs_no_master_password_beside_admin_keys() {
    let (file, [secret]) = KeyFile::new([("ops", rights(&["agents"]))]);
    let mut settings = Settings::default();
    file.set(&mut settings);
    let config = session_auth_server::Config::resolve(settings).expect("a configuration");
    assert!(config.master_password.is_none());
    let clock =
        tower_session_auth::clock::ManualClock::new(tower_session_auth::clock::Timestamp(1_800_000_000));
    let server = TestServer::run(config, None, clock).await;
    let bearer = format!("Bearer {secret}");
    send(&server, &bearer, Method::POST, "/v1/agents", Some(json!({})))
        .await
        .expect(201);
    let rejected = server.api.with_password(PASSWORD).list("").await;
    rejected.rejected(401, "INVALID_MASTER_PASSWORD");
    assert_eq!(rejected.header("www-authenticate"), "Bearer realm=\"session\"");
}

#[tokio::test]
async fn a_key_restricted_to_agents_acts_on_these_and_their_sessions_only_with_the_memory_store() {
    restricted_key_acts_on_its_agents_only(async |file| {
        TestServer::memory_with(|settings| file.set(settings)).await
    })
    .await;
}

#[tokio::test]
async fn a_key_restricted_to_agents_acts_on_these_and_their_sessions_only_with_redis() {
    restricted_key_acts_on_its_agents_only(async |file| {
        TestServer::redis_with(|settings| file.set(settings)).await
    })
    .await;
}

#[tokio::test]
async fn list_of_a_restricted_key_is_one_call_of_the_store() {
    let own: Vec<_> = (0..10).map(|_| new_agent()).collect();
    let all = rights(&["open", "list", "agents"]);
    let (file, [secret]) = KeyFile::new([("tenant", format!("{all}\nagents = {own:?}"))]);
    let server = TestServer::redis_with(|settings| file.set(settings)).await;
    let bearer = format!("Bearer {secret}");
    for agent in &own {
        let body = Some(json!({ "id": agent }));
        send(&server, &bearer, Method::POST, "/v1/agents", body)
            .await
            .expect(201);
        let body = Some(json!({ "agentId": agent }));
        send(&server, &bearer, Method::POST, "/v1/sessions", body)
            .await
            .expect(201);
    }
    let calls = async || {
        let text = server.api.master(Method::GET, "/metrics", None).await.expect(200);
        let text = text.body.as_str().unwrap().to_owned();
        ["list", "list_agents", "read_agent"].map(|operation| {
            let series = format!("session_auth_store_duration_seconds_count{{operation=\"{operation}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&series));
            line.map_or(0, |count| count.parse::<u64>().unwrap())
        })
    };
    let before = calls().await;
    for path in ["/v1/sessions", "/v1/agents"] {
        let reply = send(&server, &bearer, Method::GET, path, None).await.expect(200);
        assert_eq!(reply.body.as_array().map(Vec::len), Some(10), "{path}");
    }
    let after = calls().await;
    assert_eq!(after, [before[0] + 1, before[1] + 1, before[2]]);
}

async fn restricted_key_acts_on_its_agents_only(start: impl AsyncFnOnce(&KeyFile) -> TestServer) {
    let mut own = [new_agent(), new_agent(), new_agent()];
    own.sort();
    let [first, second, unregistered] = &own;
    let all = rights(&["open", "list", "revoke", "rotate", "agents"]);
    let (file, [secret]) = KeyFile::new([("tenant", format!("{all}\nagents = {own:?}"))]);
    let server = start(&file).await;
    let bearer = format!("Bearer {secret}");
    let send = async |method: Method, path: &str, body: Option<Value>| {
        send(&server, &bearer, method, path, body).await
    };

    // Agents: only permitted ids can be registered, read, listed and deleted.
    let stranger = server.api.agent().await;
    let foreign = server.api.session(&stranger).await;
    for agent in [first, second] {
        send(Method::POST, "/v1/agents", Some(json!({ "id": agent })))
            .await
            .expect(201);
        send(Method::GET, &format!("/v1/agents/{agent}"), None)
            .await
            .expect(200);
    }
    for body in [json!({}), json!({ "id": new_agent() }), json!({ "id": stranger })] {
        send(Method::POST, "/v1/agents", Some(body))
            .await
            .rejected(403, "FORBIDDEN");
    }
    for method in [Method::GET, Method::DELETE] {
        for id in [&stranger, &new_agent()] {
            let reply = send(method.clone(), &format!("/v1/agents/{id}"), None).await;
            reply.rejected(403, "FORBIDDEN");
        }
    }
    assert_eq!(
        pages(&send, "/v1/agents?limit=1", "id").await,
        [first.clone(), second.clone()]
    );

    // Sessions: those of other agents cannot be opened, read, revoked or rotated, and are not listed.
    let mut sessions = Vec::new();
    for agent in [first, second, second] {
        let opened = send(Method::POST, "/v1/sessions", Some(json!({ "agentId": agent }))).await;
        sessions.push(opened.expect(201).issued());
    }
    let open = send(Method::POST, "/v1/sessions", Some(json!({ "agentId": stranger }))).await;
    open.rejected(403, "FORBIDDEN");
    // The bucket of its agent is the end of an id.
    let unknown = format!("00000000-0000-7000-8000-00000000{}", &foreign.id[32..]);
    for id in [&foreign.id, &unknown] {
        for (method, path) in [
            (Method::GET, format!("/v1/sessions/{id}")),
            (Method::DELETE, format!("/v1/sessions/{id}")),
            (Method::POST, format!("/v1/sessions/{id}/rotate")),
        ] {
            // The same answer, whether the session exists or not.
            send(method, &path, None).await.rejected(403, "FORBIDDEN");
        }
    }
    for method in [Method::GET, Method::DELETE] {
        let reply = send(method, &format!("/v1/sessions?agentId={stranger}"), None).await;
        reply.rejected(403, "FORBIDDEN");
    }
    server.api.access(&foreign.token).await.expect(200);
    let expected = [&sessions[0].id, &sessions[2].id, &sessions[1].id].map(String::clone);
    for limit in [1, 2, 3, 100] {
        let listed = pages(&send, &format!("/v1/sessions?limit={limit}"), "id").await;
        assert_eq!(listed, expected, "{limit}");
    }
    let of_second = send(Method::GET, &format!("/v1/sessions?agentId={second}"), None).await;
    assert_eq!(of_second.expect(200).body.as_array().map(Vec::len), Some(2));

    // Its own sessions.
    let id = &sessions[0].id;
    send(Method::GET, &format!("/v1/sessions/{id}"), None)
        .await
        .expect(200);
    send(Method::POST, &format!("/v1/sessions/{id}/rotate"), None)
        .await
        .expect(200);
    send(Method::DELETE, &format!("/v1/sessions/{id}"), None)
        .await
        .expect(200);
    let revoked = send(Method::DELETE, &format!("/v1/sessions?agentId={second}"), None).await;
    assert_eq!(revoked.expect(200).number("revokedSessions"), 2);
    send(Method::DELETE, &format!("/v1/agents/{first}"), None)
        .await
        .expect(200);
    let gone = send(Method::DELETE, &format!("/v1/agents/{unregistered}"), None).await;
    gone.rejected(404, "AGENT_NOT_FOUND");
}

/// A member of all items of a list, over all of its pages.
async fn pages(
    send: &impl AsyncFn(Method, &str, Option<Value>) -> Reply,
    path: &str,
    member: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut path = path.to_owned();
    loop {
        let reply = send(Method::GET, &path, None).await.expect(200);
        let items = reply.body.as_array().expect("a list");
        found.extend(
            items
                .iter()
                .map(|item| item[member].as_str().expect("text").to_owned()),
        );
        let Some(next) = reply.next() else { return found };
        let (base, _) = path.split_once('?').expect("a query");
        path = format!("{base}{next}");
    }
}
