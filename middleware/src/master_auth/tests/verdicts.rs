use http::{Response, StatusCode, header};

use super::*;
use crate::{
    ErrorKind,
    test_support::{header, json, kind, pass},
};

#[tokio::test]
async fn only_a_single_right_password_is_admitted() {
    let cases: &[(&str, &[&[u8]], bool)] = &[
        ("right", &[RIGHT], true),
        ("wrong", &[WRONG], false),
        ("empty", &[b""], false),
        ("cut short", &[&RIGHT[..RIGHT.len() - 1]], false),
        ("in other case", &[b"Correct horse battery staple"], false),
        ("not UTF-8", &[b"\xff\xfe"], false),
        ("missing", &[], false),
        ("twice", &[RIGHT, RIGHT], false),
        ("beside a wrong one", &[RIGHT, WRONG], false),
    ];
    for (name, passwords, passes) in cases {
        // First on a new layer, then after the right password was verified.
        let layer = layer();
        for _ in 0..2 {
            match pass(&layer, request(passwords)).await {
                Ok(_) => assert!(passes, "{name}"),
                Err(rejection) => {
                    assert!(!passes, "{name}");
                    assert_eq!(kind(&rejection), ErrorKind::InvalidMasterPassword, "{name}");
                    assert_eq!(rejection.status(), 401, "{name}");
                    assert_eq!(
                        header(&rejection, header::WWW_AUTHENTICATE),
                        Some("MasterPassword realm=\"session\"")
                    );
                    assert_eq!(header(&rejection, header::CACHE_CONTROL), Some("no-store"));
                    assert_eq!(json(rejection).await["code"], "INVALID_MASTER_PASSWORD");
                }
            }
            assert!(pass(&layer, request(&[RIGHT])).await.is_ok(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_password_has_at_most_1024_bytes() {
    for (len, passes) in [(1024, true), (1025, false)] {
        let password = b"p".repeat(len);
        let layer = MasterAuthLayer::new(&phc(&password)).unwrap();
        assert_eq!(pass(&layer, request(&[&password])).await.is_ok(), passes, "{len}");
    }
}

#[tokio::test]
async fn other_headers_do_not_carry_the_password() {
    let mut request = Request::new(());
    for name in ["authorization", "x-password", "password"] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_bytes(RIGHT).unwrap());
    }
    assert!(pass(&layer(), request).await.is_err());
}

#[tokio::test]
async fn realm_and_rejection_response_can_be_replaced() {
    let named = layer().realm("ad\"min");
    let rejection = pass(&named, request(&[])).await.unwrap_err();
    assert_eq!(
        header(&rejection, header::WWW_AUTHENTICATE),
        Some("MasterPassword realm=\"admin\"")
    );

    let shaped = layer().on_rejection(|error, _| {
        let mut response = Response::new(error.kind().code().into());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    // The first is rejected immediately, the second after Argon2.
    for passwords in [&[][..], &[WRONG]] {
        let rejection = pass(&shaped, request(passwords)).await.unwrap_err();
        assert_eq!(rejection.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(kind(&rejection), ErrorKind::InvalidMasterPassword);
    }
}

#[test]
fn only_a_complete_argon2id_hash_is_accepted() {
    let phc = phc(RIGHT);
    assert!(MasterAuthLayer::new(&phc).is_ok());
    let (without_hash, _) = phc.rsplit_once('$').unwrap();
    let (without_salt, _) = without_hash.rsplit_once('$').unwrap();
    for text in [
        "",
        "correct horse battery staple",
        without_hash,
        without_salt,
        &phc.replace("argon2id", "argon2i"),
        &phc.replace("v=19", "v=18"),
        &phc.replace("argon2id", "argon2d"),
        &phc.replace("argon2id", "scrypt"),
        &phc.replace("m=8", "m=7"),
        &phc.replace("t=1", "t=0"),
        &format!("{phc}\n{phc}"),
        &format!("\u{a0}{phc}"),
        &format!("{phc}$x"),
    ] {
        assert_eq!(
            MasterAuthLayer::new(text).unwrap_err(),
            InvalidPasswordHash,
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn whitespace_around_a_hash_and_a_byte_order_mark_are_ignored() {
    let phc = phc(RIGHT);
    for text in [
        format!("{phc}\n"),
        format!("{phc}\r\n"),
        format!("\u{feff}{phc}\n"),
        format!(" \t{phc} \n\n"),
    ] {
        let layer = MasterAuthLayer::new(&text).unwrap();
        assert!(pass(&layer, request(&[RIGHT])).await.is_ok(), "{text:?}");
        assert!(pass(&layer, request(&[WRONG])).await.is_err(), "{text:?}");
    }
}

#[test]
fn debug_output_does_not_contain_the_hash() {
    let shown = format!("{:?} {:?}", layer(), tower::Layer::layer(&layer(), ()));
    assert!(!shown.contains('$') && !shown.contains("m=8"), "{shown}");
}

#[tokio::test]
async fn the_inner_service_gets_the_password_as_a_sensitive_header() {
    let given = pass(&layer(), request(&[RIGHT])).await.unwrap();
    assert!(given.headers()[X_MASTER_PASSWORD].is_sensitive());
}
