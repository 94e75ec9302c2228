//! A tonic server behind the layer, with refusals in gRPC's own shape.
//!
//! Run it with `cargo run -p session-auth-examples --example tonic_api [PORT]`: the port is 3000 unless another is given, and
//! 0 stands for any free one.
//!
//! It serves gRPC's health service, so that nothing has to be generated from a `.proto` file, and is its own client: it asks
//! once without a token, which is UNAUTHENTICATED, and once with one, which is answered with SERVING. Then it exits.

use std::{env, error::Error};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use tokio::net::TcpListener;
use tonic::{
    Request, Status,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower_session_auth::{
    AuthError, MemoryStore, SessionAuthLayer, SessionManager, SigningKey, TokenVerifier,
    session::CreateSession, token::TokenSigner,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;

    let key = SigningKey::generate()?;
    let store = MemoryStore::new();
    let verifier = TokenVerifier::new([key.verifying_key().clone()]);
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = Server::builder()
        .layer(SessionAuthLayer::new(verifier, store.clone()).on_rejection(refuse))
        .add_service(health);

    let sessions = SessionManager::new(store, TokenSigner::new(key));
    let agent = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
    let issued = sessions.create(CreateSession::new(agent)).await?;

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}");
    tokio::select! {
        stopped = server.serve_with_incoming(TcpIncoming::from(listener)) => stopped?,
        asked = ask(format!("http://{address}"), issued.token.expose()) => asked?,
    }
    Ok(())
}

/// A gRPC client reads the status from `grpc-status`; the HTTP status is always 200.
fn refuse(error: &AuthError, _: &HeaderMap) -> Response<Full<Bytes>> {
    let message = error.to_string();
    let status = match error.status() {
        StatusCode::UNAUTHORIZED => Status::unauthenticated(message),
        StatusCode::SERVICE_UNAVAILABLE => Status::unavailable(message),
        _ => Status::internal(message),
    };
    status.into_http()
}

async fn ask(server: String, token: &str) -> Result<(), Box<dyn Error>> {
    let mut client = HealthClient::new(Endpoint::from_shared(server)?.connect().await?);
    match client.check(HealthCheckRequest::default()).await {
        Ok(_) => return Err("a request without a token passed".into()),
        Err(status) => println!("Without a token: {:?}: {}", status.code(), status.message()),
    }

    let mut request = Request::new(HealthCheckRequest::default());
    let bearer = format!("Bearer {token}").parse()?;
    request.metadata_mut().insert("authorization", bearer);
    let answer = client.check(request).await?.into_inner();
    println!("With the session's token: {:?}", answer.status());
    Ok(())
}
