//! The rights that the routes demand, over HTTP.

use std::collections::HashMap;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::net::TcpListener;

use super::routes::{Access, ROUTES};
use crate::{
    KeySet, MasterAuthLayer, MemoryStore, SessionAuthority,
    master_auth::{AdminKeyEntry, AdminKeys, AdminSecret, Credentials, Right},
    test_support::key,
};

/// The contract: the right of each route of administrators.
const RIGHTS: &[(&str, &str, Right)] = &[
    ("POST", "/v1/agents", Right::Agents),
    ("GET", "/v1/agents", Right::Agents),
    ("GET", "/v1/agents/{id}", Right::Agents),
    ("DELETE", "/v1/agents/{id}", Right::Agents),
    ("POST", "/v1/sessions", Right::Open),
    ("GET", "/v1/sessions", Right::List),
    ("DELETE", "/v1/sessions", Right::Revoke),
    ("GET", "/v1/sessions/{id}", Right::List),
    ("DELETE", "/v1/sessions/{id}", Right::Revoke),
    ("POST", "/v1/sessions/{id}/rotate", Right::Rotate),
];

struct Server {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    secrets: HashMap<String, AdminSecret>,
}

/// Serves the endpoints with two keys for each right: one with that right alone, and one with all others.
async fn serve() -> Server {
    let mut secrets = HashMap::new();
    let mut entries = Vec::new();
    for right in Right::ALL {
        let others = Right::ALL.iter().filter(|other| *other != right);
        let others: Vec<_> = others.map(|other| other.as_str()).collect();
        for (name, rights) in [("only", vec![right.as_str()]), ("without", others)] {
            let name = format!("{name}-{right}");
            let secret = AdminSecret::generate().unwrap();
            entries.push(AdminKeyEntry::new(&*name, secret.hash_hex(), rights));
            secrets.insert(name, secret);
        }
    }
    let keys = AdminKeys::from_entries(entries).unwrap();
    let authority = SessionAuthority::builder(KeySet::single(key()), MemoryStore::new()).build();
    let admin = MasterAuthLayer::from_credentials(Credentials::keys(keys));
    let endpoints = authority.unwrap().endpoints(admin);
    let app: axum::Router = axum::Router::new().fallback_service(endpoints);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });
    Server {
        client: Client::builder(TokioExecutor::new()).build_http(),
        base,
        secrets,
    }
}

impl Server {
    /// The status and the code of the response to a request with this key.
    async fn send(&self, method: &str, path: &str, key: Option<&str>) -> (StatusCode, String) {
        let path = path.replace("{id}", "0199c82c-c000-7abc-8def-0123456789ab");
        let mut request = Request::builder().method(method).uri(self.base.clone() + &path);
        if let Some(key) = key {
            let bearer = format!("Bearer {}", self.secrets[key].expose());
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let response = self
            .client
            .request(request.body(Full::default()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }
}

#[test]
fn every_route_of_administrators_has_the_right_of_the_contract() {
    let admin_routes = ROUTES
        .iter()
        .filter_map(|(method, path, access, _)| match access {
            Access::Admin(right) => Some((method.as_str(), *path, *right)),
            _ => None,
        });
    assert_eq!(admin_routes.collect::<Vec<_>>(), RIGHTS);
}

#[tokio::test]
async fn every_route_of_administrators_demands_exactly_its_right() {
    let server = serve().await;
    for (method, path, access, _) in ROUTES {
        let Access::Admin(needed) = access else { continue };
        let route = format!("{method} {path}");
        for right in Right::ALL {
            for (key, suffices) in [("only", right == needed), ("without", right != needed)] {
                let key = format!("{key}-{right}");
                let (status, code) = server.send(method.as_str(), path, Some(&key)).await;
                assert_ne!(status, StatusCode::UNAUTHORIZED, "{route} {key}");
                assert_eq!(code != "FORBIDDEN", suffices, "{route} {key}: {code}");
                assert_eq!(status != StatusCode::FORBIDDEN, suffices, "{route} {key}");
            }
        }
        let (status, code) = server.send(method.as_str(), path, None).await;
        assert_eq!(
            (status.as_u16(), &*code),
            (401, "INVALID_MASTER_PASSWORD"),
            "{route}"
        );
    }
}

#[tokio::test]
async fn an_admin_key_is_no_session_token() {
    let server = serve().await;
    for (method, path, access, _) in ROUTES {
        if let Access::Session | Access::StrictSession | Access::Renewal = access {
            let (status, code) = server.send(method.as_str(), path, Some("only-open")).await;
            assert_eq!(
                (status.as_u16(), &*code),
                (401, "INVALID_TOKEN"),
                "{method} {path}"
            );
        }
    }
}
