//! A service that verifies tokens with public keys alone. It needs no store, no secret and no Cargo feature of the crate.
//!
//! Run it with `cargo run -p session-auth-examples --example verify_only [PORT]`. The default port is 3000. Port 0 selects a free one.
//!
//! It shows that a public key cannot sign a token, and prints a curl command with a token that was signed elsewhere. The response
//! contains the token's claims. This check cannot detect that the session was revoked, or that the token was replaced. If that
//! matters, use [`SessionAuthLayer`](tower_session_auth::SessionAuthLayer). Otherwise keep ttls short.

use std::{env, error::Error};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Response, request::Parts},
    routing::get,
};
use tokio::net::TcpListener;
use tower_session_auth::{
    AuthError, SigningKey, TokenVerifier, VerifyingKey,
    clock::{Clock, SystemClock},
    response::problem_response,
    token::Claims,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;
    let (public_key, token) = elsewhere::issue()?;

    // A verifying key cannot sign, and cannot be read as a signing key.
    match SigningKey::from_paserk(&public_key) {
        Ok(_) => return Err("a public key was read as a secret one".into()),
        Err(error) => println!("This service cannot sign tokens: {error}."),
    }
    let verifier = TokenVerifier::new([VerifyingKey::from_paserk(&public_key)?]);
    let app = Router::new().route("/claims", get(claims)).with_state(verifier);

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}. Try:");
    println!("curl -i -H 'Authorization: Bearer {token}' http://{address}/claims");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn claims(State(verifier): State<TokenVerifier>, request: Parts) -> Result<String, Response<Body>> {
    let claims = verify(&verifier, &request)
        .map_err(|error| problem_response(&error, "claims", &request.headers).map(Body::new))?;
    Ok(format!(
        "Agent {} in session {}, until {}.\n",
        claims.agent_id, claims.session_id, claims.expires_at
    ))
}

/// Verifies the signature first, then the expiry.
fn verify(verifier: &TokenVerifier, request: &Parts) -> Result<Claims, AuthError> {
    let token = verifier.verify_request(request)?;
    token.check_expiry(SystemClock.now())?;
    Ok(token.claims().clone())
}

/// Another machine, for example the reference server. Only it has the secret key. Its public key and a token leave it.
mod elsewhere {
    use super::*;
    use tower_session_auth::{SessionId, token::TokenSigner};

    pub fn issue() -> Result<(String, String), Box<dyn Error>> {
        let key = SigningKey::generate()?;
        let public_key = key.verifying_key().to_paserk();
        let agent_id = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
        let token = TokenSigner::new(key).sign(&Claims::new(
            SessionId::generate(agent_id, SystemClock.now_millis())?,
            agent_id,
            0,
            SystemClock.now(),
            SystemClock.now().plus(3_600),
        ))?;
        Ok((public_key, token.expose().to_owned()))
    }
}
