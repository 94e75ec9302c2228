//! The precise reason of each rejection: for the log, never for the client.

use super::*;
use crate::{AuthError, RejectionReason as Reason, test_support::pass};

#[tokio::test]
async fn each_mistake_has_its_own_reason() {
    let long = b"p".repeat(MAX_PASSWORD_LEN + 1);
    let cases: &[(&[&[u8]], Reason)] = &[
        (&[], Reason::MissingAdminCredential),
        (&[RIGHT, RIGHT], Reason::MalformedMasterPassword),
        (&[&long], Reason::MalformedMasterPassword),
        (&[WRONG], Reason::WrongMasterPassword),
    ];
    let layer = layer();
    for (passwords, reason) in cases {
        let rejection = pass(&layer, request(passwords)).await.unwrap_err();
        let error = rejection.extensions().get::<AuthError>().unwrap();
        assert_eq!(error.reason(), *reason);
    }
}

#[tokio::test]
async fn locked_address_is_the_reason_even_for_the_right_password() {
    let layer = layer();
    for _ in 0..5 {
        pass(&layer, request_from("192.0.2.1", WRONG)).await.unwrap_err();
    }
    let rejection = pass(&layer, request_from("192.0.2.1", RIGHT)).await.unwrap_err();
    let error = rejection.extensions().get::<AuthError>().unwrap();
    assert_eq!(error.reason(), Reason::AddressLocked);
}
