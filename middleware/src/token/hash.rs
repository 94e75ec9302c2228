//! SHA-256 hashes: the only form in which a store keeps a secret.

use sha2::{Digest, Sha256};

/// Defines a SHA-256 type that compares in constant time and is redacted in `Debug`.
macro_rules! secret_hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name([u8; 32]);

        impl $name {
            /// A hash read from a store.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes to store.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl PartialEq for $name {
            /// Compares in constant time.
            fn eq(&self, other: &Self) -> bool {
                let words = |hash: &[u8; 32]| {
                    let (words, _) = hash.as_chunks();
                    std::array::from_fn::<_, 4, _>(|word| u64::from_ne_bytes(words[word]))
                };
                // Four words, because an optimisation barrier for each of 32 bytes costs more than the rest of a lookup.
                subtle::ConstantTimeEq::ct_eq(words(&self.0).as_slice(), &words(&other.0)).into()
            }
        }

        impl Eq for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}
pub(crate) use secret_hash;

secret_hash! {
    /// The SHA-256 of a whole bearer string, prefix included. A store keeps this hash and never the token.
    TokenHash
}

impl TokenHash {
    /// The hash of a bearer string.
    #[must_use]
    pub fn of(bearer: &str) -> Self {
        Self::of_bytes(bearer.as_bytes())
    }

    pub(super) fn of_bytes(bearer: &[u8]) -> Self {
        Self(Sha256::digest(bearer).into())
    }
}
