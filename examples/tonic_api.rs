//! A tonic server behind the layer, which rejects gRPC requests with a gRPC status.
//!
//! Run it with `cargo run -p session-auth-examples --example tonic_api [PORT]`. The default port is 3000. Port 0 selects a free one.
//!
//! It serves gRPC's health service, so no code is generated from a `.proto` file, and it is its own client. Its first call has no
//! token and is rejected with UNAUTHENTICATED. Its second call has one and gets SERVING. Then it exits.

use std::{env, error::Error};

use tokio::net::TcpListener;
use tonic::{
    Request,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower_session_auth::{KeySet, MemoryStore, SessionAuthority, SigningKey, session::CreateSession};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;

    let keys = KeySet::single(SigningKey::generate()?);
    let authority = SessionAuthority::builder(keys, MemoryStore::new())
        .any_agent()
        .build()?;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = Server::builder().layer(authority.layer()).add_service(health);

    let agent = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
    let issued = authority.manager().create(CreateSession::new(agent)).await?;

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}");
    tokio::select! {
        stopped = server.serve_with_incoming(TcpIncoming::from(listener)) => stopped?,
        checked = check(format!("http://{address}"), issued.token.expose()) => checked?,
    }
    Ok(())
}

async fn check(server: String, token: &str) -> Result<(), Box<dyn Error>> {
    let mut client = HealthClient::new(Endpoint::from_shared(server)?.connect().await?);
    match client.check(HealthCheckRequest::default()).await {
        Ok(_) => return Err("a request without a token was admitted".into()),
        Err(status) => println!("Without a token: {:?}: {}", status.code(), status.message()),
    }

    let mut request = Request::new(HealthCheckRequest::default());
    let bearer = format!("Bearer {token}").parse()?;
    request.metadata_mut().insert("authorization", bearer);
    let answer = client.check(request).await?.into_inner();
    println!("With the session's token: {:?}", answer.status());
    Ok(())
}
