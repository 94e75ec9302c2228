use http::{Request, Response, header};

use super::*;
use crate::{
    ErrorKind, SigningKey, TokenVerifier,
    clock::ManualClock,
    test_support::{NOW, TTL, claims, kind, pass, sign, verifier},
    token::VerifiedToken,
};

fn request(bearer: &str) -> Request<()> {
    let request = Request::get("/").header(header::AUTHORIZATION, format!("Bearer {bearer}"));
    request.body(()).unwrap()
}

#[tokio::test]
async fn valid_token_is_admitted_with_its_claims_until_it_expires() {
    let clock = ManualClock::new(NOW.plus(TTL - 1));
    let layer = VerifyOnlyLayer::new(verifier()).clock(clock.clone());
    let token = sign(&claims());
    let admitted = pass(&layer, request(token.expose())).await.unwrap();
    let verified = admitted.extensions().get::<VerifiedToken>().unwrap();
    assert_eq!(*verified.claims(), claims());
    assert!(admitted.headers()[header::AUTHORIZATION].is_sensitive());
    clock.set(NOW.plus(TTL));
    let rejected = pass(&layer, request(token.expose())).await.unwrap_err();
    assert_eq!(kind(&rejected), ErrorKind::TokenExpired);
}

#[tokio::test]
async fn request_without_a_valid_token_is_rejected() {
    let other = TokenVerifier::new([SigningKey::generate().unwrap().verifying_key().clone()]);
    for (layer, request) in [
        (VerifyOnlyLayer::new(verifier()), Request::new(())),
        (VerifyOnlyLayer::new(verifier()), request("forged")),
        (VerifyOnlyLayer::new(other), request(sign(&claims()).expose())),
    ] {
        let rejected = pass(&layer.realm("vault"), request).await.unwrap_err();
        assert_eq!(kind(&rejected), ErrorKind::InvalidToken);
        let challenge = rejected.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with("Bearer realm=\"vault\""), "{challenge}");
    }
}

#[tokio::test]
async fn rejections_can_be_replaced() {
    let layer =
        VerifyOnlyLayer::new(verifier()).on_rejection(|error, _| Response::new(error.kind().code().into()));
    let rejected = pass(&layer, Request::new(())).await.unwrap_err();
    assert_eq!(
        (rejected.status().as_u16(), kind(&rejected)),
        (200, ErrorKind::InvalidToken)
    );
}
