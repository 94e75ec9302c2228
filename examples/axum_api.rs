//! An axum API that only agents with a session may use.
//!
//! Run it with `cargo run -p session-auth-examples --example axum_api [PORT]`. The default port is 3000. Port 0 selects a free one.
//!
//! It keeps its sessions in memory, opens one for an agent, and prints a curl command to paste. The response contains the agent's
//! id. Without the `Authorization` header the response is a 401 with a problem document. Stop the program with Ctrl-C.

use std::{env, error::Error};

use axum::{Extension, Router, routing::get};
use tokio::net::TcpListener;
use tower_session_auth::{
    AuthenticatedSession, KeySet, MemoryStore, SessionAuthority, SigningKey, session::CreateSession,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;

    let keys = KeySet::single(SigningKey::generate()?);
    let authority = SessionAuthority::builder(keys, MemoryStore::new())
        .any_agent()
        .build()?;
    let app = Router::new()
        .route("/hello", get(hello))
        .route_layer(authority.layer());

    // This is an administrator's task. See `mounted-api` for the endpoints.
    let agent = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
    let issued = authority.manager().create(CreateSession::new(agent)).await?;

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let token = issued.token.expose();
    println!("Listening on http://{address}. Try:");
    println!("curl -i -H 'Authorization: Bearer {token}' http://{address}/hello");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(Extension(session): Extension<AuthenticatedSession>) -> String {
    format!(
        "Hello, agent {}. This token expires at {}.\n",
        session.agent_id, session.expires_at
    )
}
