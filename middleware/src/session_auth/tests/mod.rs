mod bounded;
mod credentials;
mod flow;

mod optional;
mod outcomes;
mod query;
mod reasons;
mod renewal;
mod replaced;
mod token_header;

use http::{HeaderValue, Request, header};

use super::*;
use crate::{
    clock::ManualClock,
    session::SessionRecord,
    test_support::{NOW, Stub, claims, header, record, sign, verifier},
    token::Claims,
};

const CHALLENGE_INVALID: Option<&str> = Some("Bearer realm=\"session\", error=\"invalid_token\"");
const CHALLENGE_MISSING: Option<&str> = Some("Bearer realm=\"session\"");

/// A strict layer at `NOW`.
fn access(store: Stub) -> SessionAuthLayer<Stub> {
    SessionAuthLayer::new(verifier(), store).clock(ManualClock::new(NOW))
}

/// A request with the token of these claims.
fn request(claims: &Claims) -> Request<()> {
    let bearer = format!("Bearer {}", sign(claims).expose());
    Request::builder()
        .header(header::AUTHORIZATION, bearer)
        .body(())
        .unwrap()
}

/// The session after a renewal: its current token is not that of `claims()`.
fn renewed() -> SessionRecord {
    record(&Claims {
        generation: 1,
        ..claims()
    })
}

/// The `WWW-Authenticate` header of a rejection.
fn challenge<B>(rejection: &http::Response<B>) -> Option<&str> {
    header(rejection, header::WWW_AUTHENTICATE)
}

fn revoked() -> SessionRecord {
    SessionRecord {
        revoked_at: Some(NOW),
        ..record(&claims())
    }
}
