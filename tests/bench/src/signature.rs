//! One signature check by `pasetors`, without anything else that a token needs.

use std::hint::black_box;

use pasetors::{
    Public,
    keys::{AsymmetricPublicKey, AsymmetricSecretKey},
    token::UntrustedToken,
    version4::{PublicToken, V4},
};

/// As long as the claims and the footer of our tokens.
const MESSAGE: [u8; 187] = [b'm'; 187];
const FOOTER: [u8; 61] = [b'f'; 61];

pub(crate) struct Signature {
    key: AsymmetricPublicKey<V4>,
    token: UntrustedToken<Public, V4>,
}

impl Signature {
    /// Of a pair of PASERK keys.
    pub(crate) fn new(secret: &str, public: &str) -> Self {
        let secret = AsymmetricSecretKey::<V4>::try_from(secret).expect("a secret key");
        let token = PublicToken::sign(&secret, &MESSAGE, Some(&FOOTER), None).expect("a token");
        Self {
            key: AsymmetricPublicKey::try_from(public).expect("a public key"),
            token: UntrustedToken::try_from(token.as_str()).expect("a token"),
        }
    }

    pub(crate) fn check(&self) {
        black_box(PublicToken::verify(
            &self.key,
            black_box(&self.token),
            Some(&FOOTER),
            None,
        ))
        .expect("a good token");
    }
}
