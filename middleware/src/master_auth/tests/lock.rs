//! Failures lock the address that they come from, and no other address.

use std::time::Duration;

use http::header;

use super::*;
use crate::{
    ErrorKind,
    test_support::{header, kind, pass},
};

const STRANGER: &str = "192.0.2.1";
const ADMIN: &str = "192.0.2.2";

async fn fail(layer: &MasterAuthLayer, client: &str, times: usize) {
    for _ in 0..times {
        let rejection = pass(layer, request_from(client, WRONG)).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::InvalidMasterPassword);
    }
}

#[tokio::test]
async fn the_fifth_failure_locks_the_address_even_for_the_right_password() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    fail(&layer, STRANGER, 4).await;
    assert!(pass(&layer, request_from(ADMIN, RIGHT)).await.is_ok());
    fail(&layer, STRANGER, 1).await;

    for password in [RIGHT, WRONG] {
        let rejection = pass(&layer, request_from(STRANGER, password)).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::MasterPasswordLocked);
        assert_eq!(rejection.status(), 429);
        assert_eq!(header(&rejection, header::RETRY_AFTER), Some("1"));
        assert_eq!(header(&rejection, header::WWW_AUTHENTICATE), None);
    }
    clock.advance(Duration::from_secs(1));
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
}

#[tokio::test]
async fn each_further_failure_doubles_the_lock() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    fail(&layer, STRANGER, 5).await;
    for seconds in [1, 2, 4, 8] {
        let rejection = pass(&layer, request_from(STRANGER, RIGHT)).await.unwrap_err();
        let expected = seconds.to_string();
        assert_eq!(header(&rejection, header::RETRY_AFTER), Some(expected.as_str()));
        clock.advance(Duration::from_secs(seconds));
        fail(&layer, STRANGER, 1).await;
    }
}

#[tokio::test]
async fn another_address_is_admitted_while_one_is_locked() {
    let layer = layer();
    fail(&layer, STRANGER, 5).await;
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_err());
    // First with Argon2, then from the cache.
    for _ in 0..2 {
        assert!(pass(&layer, request_from(ADMIN, RIGHT)).await.is_ok());
    }
}

#[tokio::test]
async fn the_right_password_does_not_reset_the_failures_of_its_address() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    // An attacker behind the same NAT as the administrator. Argon2 verifies the first success; the others are cache hits.
    for _ in 0..4 {
        fail(&layer, STRANGER, 1).await;
        assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
    }
    fail(&layer, STRANGER, 1).await;
    let rejection = pass(&layer, request_from(STRANGER, RIGHT)).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::MasterPasswordLocked);
    clock.advance(Duration::from_secs(1));
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
    fail(&layer, STRANGER, 1).await;
    let rejection = pass(&layer, request_from(STRANGER, RIGHT)).await.unwrap_err();
    assert_eq!(header(&rejection, header::RETRY_AFTER), Some("2"));
}

#[tokio::test]
async fn failures_expire_with_time() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    for seconds in [900, 901] {
        fail(&layer, STRANGER, 4).await;
        clock.advance(Duration::from_secs(seconds));
    }
    fail(&layer, STRANGER, 4).await;
    clock.advance(Duration::from_secs(899));
    fail(&layer, STRANGER, 1).await;
    let rejection = pass(&layer, request_from(STRANGER, RIGHT)).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::MasterPasswordLocked);
}

#[tokio::test]
async fn requests_without_an_address_lock_no_address() {
    let layer = layer();
    for _ in 0..20 {
        let rejection = pass(&layer, request(&[WRONG])).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::InvalidMasterPassword);
    }
    assert!(pass(&layer, request(&[RIGHT])).await.is_ok());
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
}

#[tokio::test]
async fn a_missing_password_does_not_count_as_a_failure() {
    let layer = layer();
    for _ in 0..20 {
        let mut request = Request::new(());
        request
            .extensions_mut()
            .insert(ClientAddr(STRANGER.parse().unwrap()));
        let rejection = pass(&layer, request).await.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::InvalidMasterPassword);
    }
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
}

#[tokio::test]
async fn clones_of_a_layer_share_the_count_of_failures() {
    let layer = layer();
    fail(&layer, STRANGER, 3).await;
    fail(&layer.clone(), STRANGER, 2).await;
    let rejection = pass(&layer, request_from(STRANGER, RIGHT)).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::MasterPasswordLocked);
}
