//! An axum API that only agents with a session may use.
//!
//! Run it with `cargo run -p session-auth-examples --example axum_api [PORT]`: the port is 3000 unless another is given, and
//! 0 stands for any free one.
//!
//! It keeps its sessions in memory, opens one for an agent, and prints a curl line to paste. That answers with the agent's
//! id; without its `Authorization` header the answer is a 401 with a problem document. Stop the program with Ctrl-C.

use std::{env, error::Error};

use axum::{Extension, Router, routing::get};
use tokio::net::TcpListener;
use tower_session_auth::{
    AuthenticatedSession, MemoryStore, SessionAuthLayer, SessionManager, SigningKey, TokenVerifier,
    session::CreateSession, token::TokenSigner,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;

    let key = SigningKey::generate()?;
    let store = MemoryStore::new();
    let verifier = TokenVerifier::new([key.verifying_key().clone()]);
    let app = Router::new()
        .route("/hello", get(hello))
        .layer(SessionAuthLayer::new(verifier, store.clone()));

    // An administrator's work, which the reference server does behind its own endpoints.
    let sessions = SessionManager::new(store, TokenSigner::new(key));
    let agent = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
    let issued = sessions.create(CreateSession::new(agent)).await?;

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
        "Hello, agent {}. This token is good until {}.\n",
        session.agent_id, session.expires_at
    )
}
