//! A service that verifies tokens with public keys alone. It needs no store and no secret.
//!
//! Run it with `cargo run -p session-auth-examples --example verify_only [PORT] [KEYS_URL]`. The default port is 3000. Port 0 selects
//! a free one. `KEYS_URL` is the `/v1/keys` of a session server, such as `http://127.0.0.1:3100/v1/keys`. Without it, the example
//! starts such a server itself, and prints a curl command with a token of it.
//!
//! The keys follow those of the server, so the signing key can be rotated without a change here. The response contains the token's
//! claims. This check cannot detect that the session was revoked, or that the token was replaced. If that matters, use
//! [`SessionAuthLayer`](tower_session_auth::SessionAuthLayer). Otherwise keep ttls short.

use std::{env, error::Error};

use axum::{Extension, Router, routing::get};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower_session_auth::{
    SigningKey, key_follower::KeyFollower, token::VerifiedToken, verify_only::VerifyOnlyLayer,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(3000), |port| port.parse())?;
    let (url, token) = match arguments.next() {
        Some(url) => (url, "…".to_owned()),
        None => session_server::start().await?,
    };

    // For https, use a client with a TLS connector, such as hyper-rustls.
    let http = Client::builder(TokioExecutor::new()).build_http();
    let keys = KeyFollower::builder(http, url.parse()?).start().await?;
    // A verifying key cannot sign, and cannot be read as a signing key.
    for key in keys.verifier().verifying_keys() {
        match SigningKey::from_paserk(&key.to_paserk()) {
            Ok(_) => return Err("a public key was read as a secret one".into()),
            Err(error) => println!("This service cannot sign tokens: {error}."),
        }
    }
    let app = Router::new()
        .route("/claims", get(claims))
        .route_layer(VerifyOnlyLayer::new(keys.verifier()));

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}. Try:");
    println!("curl -i -H 'Authorization: Bearer {token}' http://{address}/claims");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn claims(Extension(token): Extension<VerifiedToken>) -> String {
    let claims = token.claims();
    format!(
        "Agent {} in session {}, until {}.\n",
        claims.agent_id, claims.session_id, claims.expires_at
    )
}

/// Another machine, for example the reference server. Only it has the secret key.
mod session_server {
    use super::*;
    use tower_session_auth::{
        KeySet, MasterAuthLayer, MemoryStore, SessionAuthority,
        clock::{Clock, SystemClock},
        session::CreateSession,
        store::{Agent, AgentStore},
    };

    /// The hash of an unknown password: this server has no administrator.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
                          WFXMnDdAUAWzKxjo4CUJEHe8hdlxZHJGIjAqAQFSRrE";

    /// Returns the URL of its keys, and a token.
    pub async fn start() -> Result<(String, String), Box<dyn Error>> {
        let store = MemoryStore::new();
        let authority =
            SessionAuthority::builder(KeySet::single(SigningKey::generate()?), store.clone()).build()?;
        let agent_id = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
        store.register(&Agent::new(agent_id, SystemClock.now())).await?;
        let session = authority.manager().create(CreateSession::new(agent_id)).await?;

        let endpoints = authority.endpoints(MasterAuthLayer::new(NOBODY)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/v1/keys", listener.local_addr()?);
        let app = Router::new().fallback_service(endpoints);
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok((url, session.token.expose().to_owned()))
    }
}
