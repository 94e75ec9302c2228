mod admin_key_entry;
mod argon2;
mod client_addr;
mod keys;
mod lock;
mod queue;
mod reasons;
mod served;
mod threads;
mod verdicts;

use ::argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use http::{HeaderValue, Request};

use super::*;
use crate::{clock::ManualClock, test_support::NOW};

const RIGHT: &[u8] = b"correct horse battery staple";
const WRONG: &[u8] = b"wrong";

/// The PHC string of a password, with the smallest Argon2 parameters.
fn phc(password: &[u8]) -> String {
    let params = Params::new(8, 1, 1, None).unwrap();
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    hasher.hash_password(password).unwrap().to_string()
}

fn layer_at(clock: &ManualClock) -> MasterAuthLayer {
    MasterAuthLayer::new(&phc(RIGHT)).unwrap().clock(clock.clone())
}

fn layer() -> MasterAuthLayer {
    layer_at(&ManualClock::new(NOW))
}

fn request(passwords: &[&[u8]]) -> Request<()> {
    let mut request = Request::new(());
    for password in passwords {
        let value = HeaderValue::from_bytes(password).unwrap();
        request.headers_mut().append(X_MASTER_PASSWORD, value);
    }
    request
}

fn request_from(client: &str, password: &[u8]) -> Request<()> {
    let mut request = request(&[password]);
    request
        .extensions_mut()
        .insert(ClientAddr(client.parse().unwrap()));
    request
}
