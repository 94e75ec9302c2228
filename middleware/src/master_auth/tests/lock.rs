//! Failures lock the address they came from, and no other.

use std::time::Duration;

use http::header;

use super::*;
use crate::{
    ErrorKind,
    testing::{header, kind, pass},
};

const STRANGER: &str = "192.0.2.1";
const ADMIN: &str = "192.0.2.2";

async fn fail(layer: &MasterAuthLayer, client: &str, times: usize) {
    for _ in 0..times {
        let refusal = pass(layer, request_from(client, WRONG)).await.unwrap_err();
        assert_eq!(kind(&refusal), ErrorKind::InvalidMasterPassword);
    }
}

#[tokio::test]
async fn the_fifth_failure_locks_the_address_for_the_right_password_too() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    fail(&layer, STRANGER, 4).await;
    assert!(pass(&layer, request_from(ADMIN, RIGHT)).await.is_ok());
    fail(&layer, STRANGER, 1).await;

    for password in [RIGHT, WRONG] {
        let refusal = pass(&layer, request_from(STRANGER, password)).await.unwrap_err();
        assert_eq!(kind(&refusal), ErrorKind::MasterPasswordLocked);
        assert_eq!(refusal.status(), 429);
        assert_eq!(header(&refusal, header::RETRY_AFTER), Some("1"));
        assert_eq!(header(&refusal, header::WWW_AUTHENTICATE), None);
    }
    clock.advance(Duration::from_secs(1));
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
}

#[tokio::test]
async fn each_further_failure_locks_for_twice_as_long() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    fail(&layer, STRANGER, 5).await;
    for seconds in [1, 2, 4, 8] {
        let refusal = pass(&layer, request_from(STRANGER, RIGHT)).await.unwrap_err();
        let expected = seconds.to_string();
        assert_eq!(header(&refusal, header::RETRY_AFTER), Some(expected.as_str()));
        clock.advance(Duration::from_secs(seconds));
        fail(&layer, STRANGER, 1).await;
    }
}

#[tokio::test]
async fn another_address_passes_while_one_is_locked() {
    let layer = layer();
    fail(&layer, STRANGER, 5).await;
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_err());
    // First with Argon2, then from memory.
    for _ in 0..2 {
        assert!(pass(&layer, request_from(ADMIN, RIGHT)).await.is_ok());
    }
}

#[tokio::test]
async fn the_right_password_makes_an_address_start_anew() {
    let layer = layer();
    // The first time it is verified, then remembered.
    for _ in 0..3 {
        fail(&layer, STRANGER, 4).await;
        assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
    }
}

#[tokio::test]
async fn requests_without_an_address_never_lock_anybody() {
    let layer = layer();
    for _ in 0..20 {
        let refusal = pass(&layer, request(&[WRONG])).await.unwrap_err();
        assert_eq!(kind(&refusal), ErrorKind::InvalidMasterPassword);
    }
    assert!(pass(&layer, request(&[RIGHT])).await.is_ok());
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
}

#[tokio::test]
async fn a_missing_password_is_no_failure() {
    let layer = layer();
    for _ in 0..20 {
        let mut request = Request::new(());
        request
            .extensions_mut()
            .insert(ClientAddr(STRANGER.parse().unwrap()));
        let refusal = pass(&layer, request).await.unwrap_err();
        assert_eq!(kind(&refusal), ErrorKind::InvalidMasterPassword);
    }
    assert!(pass(&layer, request_from(STRANGER, RIGHT)).await.is_ok());
}

#[tokio::test]
async fn clones_of_a_layer_count_together() {
    let layer = layer();
    fail(&layer, STRANGER, 3).await;
    fail(&layer.clone(), STRANGER, 2).await;
    let refusal = pass(&layer, request_from(STRANGER, RIGHT)).await.unwrap_err();
    assert_eq!(kind(&refusal), ErrorKind::MasterPasswordLocked);
}
