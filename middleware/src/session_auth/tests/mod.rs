mod bounded;
mod credentials;
mod flow;
mod renewal;
mod replaced;
mod verdicts;

use http::{HeaderValue, Request, header};

use super::*;
use crate::{
    clock::ManualClock,
    session::SessionRecord,
    testing::{NOW, Stub, claims, record, sign, verifier},
    token::Claims,
};

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

/// The record after a renewal: the token of `claims()` is no longer its current one.
fn renewed() -> SessionRecord {
    record(&Claims {
        generation: 1,
        ..claims()
    })
}

fn revoked() -> SessionRecord {
    SessionRecord {
        revoked_at: Some(NOW),
        ..record(&claims())
    }
}
