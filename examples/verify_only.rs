//! A service that checks tokens with public keys alone: no store, no secret, none of the crate's features.
//!
//! Run it with `cargo run -p session-auth-examples --example verify_only [PORT]`: the port is 3000 unless another is given, and
//! 0 stands for any free one.
//!
//! It shows that it cannot mint a token from what it holds, and prints a curl line with one that was minted elsewhere. That
//! answers with what the token says. What this check cannot see: whether the session was revoked, or the token replaced,
//! since it was issued. Where that matters use [`SessionAuthLayer`](tower_session_auth::SessionAuthLayer); here keep ttls short.

use std::{env, error::Error};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Response, Uri},
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

    // A verifying key has no way to sign, and does not become a signing key either.
    match SigningKey::from_paserk(&public_key) {
        Ok(_) => return Err("a public key became a secret one".into()),
        Err(error) => println!("This service cannot mint tokens: {error}."),
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

async fn claims(
    State(verifier): State<TokenVerifier>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<String, Response<Body>> {
    let claims = check(&verifier, &headers, &uri)
        .map_err(|error| problem_response(&error, "claims", &headers).map(Body::new))?;
    Ok(format!(
        "Agent {} in session {}, until {}.\n",
        claims.agent_id, claims.session_id, claims.expires_at
    ))
}

/// First the signature, then the time.
fn check(verifier: &TokenVerifier, headers: &HeaderMap, uri: &Uri) -> Result<Claims, AuthError> {
    let token = verifier.verify_request(headers, uri)?;
    token.check_expiry(SystemClock.now())?;
    Ok(*token.claims())
}

/// Another machine, which alone has the secret key: the reference server, say. Only its public key and a token leave it.
mod elsewhere {
    use super::*;
    use tower_session_auth::{SessionId, token::TokenSigner};

    pub fn issue() -> Result<(String, String), Box<dyn Error>> {
        let key = SigningKey::generate()?;
        let public_key = key.verifying_key().to_paserk();
        let agent_id = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
        let token = TokenSigner::new(key).sign(&Claims {
            session_id: SessionId::generate(agent_id, SystemClock.now_millis())?,
            agent_id,
            generation: 0,
            issued_at: SystemClock.now(),
            expires_at: SystemClock.now().plus(3_600),
        })?;
        Ok((public_key, token.expose().to_owned()))
    }
}
