//! One signature check by `pasetors`, without the other checks of a token.

use std::hint::black_box;

use pasetors::{
    Public,
    keys::{AsymmetricPublicKey, AsymmetricSecretKey},
    token::UntrustedToken,
    version4::{PublicToken, V4},
};

/// `MESSAGE` and `FOOTER` are as long as the claims and the footer of a session token.
const MESSAGE: [u8; 187] = [b'm'; 187];
const FOOTER: [u8; 61] = [b'f'; 61];

pub(crate) struct SignatureCheck {
    key: AsymmetricPublicKey<V4>,
    token: UntrustedToken<Public, V4>,
}

impl SignatureCheck {
    /// The keys are a pair in PASERK form.
    pub(crate) fn new(secret: &str, public: &str) -> Self {
        let secret = AsymmetricSecretKey::<V4>::try_from(secret).expect("a valid secret key");
        let token = PublicToken::sign(&secret, &MESSAGE, Some(&FOOTER), None).expect("sign a token");
        Self {
            key: AsymmetricPublicKey::try_from(public).expect("a valid public key"),
            token: UntrustedToken::try_from(token.as_str()).expect("parse the token"),
        }
    }

    pub(crate) fn run(&self) {
        black_box(PublicToken::verify(
            &self.key,
            black_box(&self.token),
            Some(&FOOTER),
            None,
        ))
        .expect("a valid signature");
    }
}
