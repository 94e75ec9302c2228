//! The master password: its Argon2id hash, and the password that was verified last.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{clock::Timestamp, file_text, sync::lock};

/// Seconds for which a verified password is admitted without Argon2.
const CACHE_SECONDS: u64 = 60;

/// The error of a text that is not a complete Argon2id PHC string. It does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Argon2id PHC string ($argon2id$v=19$…)")]
pub struct InvalidPasswordHash;

/// Identifies a [`MasterPassword`] in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PasswordId(u64);

impl PasswordId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(super) const fn of_test(number: u64) -> Self {
        Self(number)
    }
}

/// Verifies passwords against one hash.
pub(super) struct MasterPassword {
    pub(super) id: PasswordId,
    phc: String,
    hash: PasswordHash,
    argon2: Argon2<'static>,
    /// Argon2's memory, reused. Freed memory would stay in the allocator's arena of every thread that ran Argon2.
    memory: Mutex<Vec<Memory>>,
    /// Key of the hash in `cached`, random per hash.
    cache_key: [u8; 32],
    cached: Mutex<Option<CachedPassword>>,
}

/// All memory of one computation. It is allocated before the priority is lowered: the allocator has locks.
pub(super) struct Memory {
    blocks: Box<[Block]>,
    output: Box<[u8]>,
}

/// The password that was verified last, as a keyed hash.
struct CachedPassword {
    tag: Hmac<Sha256>,
    until: Timestamp,
}

impl MasterPassword {
    pub(super) fn new(phc: &str) -> Result<Self, InvalidPasswordHash> {
        let phc = file_text::trim(phc);
        let hash = PasswordHash::new(phc).map_err(|_| InvalidPasswordHash)?;
        let complete = hash.salt.is_some() && hash.hash.is_some();
        if hash.algorithm != ARGON2ID_IDENT || !complete {
            return Err(InvalidPasswordHash);
        }
        let version = hash.version.map_or(Ok(Version::default()), Version::try_from);
        let version = version.map_err(|_| InvalidPasswordHash)?;
        let params = Params::try_from(&hash).map_err(|_| InvalidPasswordHash)?;
        let mut cache_key = [0; 32];
        getrandom::fill(&mut cache_key).map_err(|_| InvalidPasswordHash)?;
        Ok(Self {
            id: PasswordId::next(),
            phc: phc.to_owned(),
            hash,
            argon2: Argon2::new(Algorithm::Argon2id, version, params),
            memory: Mutex::default(),
            cache_key,
            cached: Mutex::new(None),
        })
    }

    /// True if both have the same hash.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.phc == other.phc
    }

    /// Takes the memory of a computation.
    pub(super) fn take_memory(&self) -> Memory {
        let returned = lock(&self.memory).pop();
        returned.unwrap_or_else(|| Memory {
            blocks: vec![Block::default(); self.argon2.params().block_count()].into(),
            output: vec![0; self.hash.hash.as_ref().map_or(0, Output::len)].into(),
        })
    }

    /// Keeps the memory of a computation for the next one.
    pub(super) fn return_memory(&self, memory: Memory) {
        lock(&self.memory).push(memory);
    }

    /// Runs Argon2id. It takes no lock and allocates nothing, since it may run at the lowest priority.
    pub(super) fn matches(&self, password: &[u8], memory: &mut Memory) -> bool {
        let (Some(salt), Some(expected)) = (&self.hash.salt, &self.hash.hash) else {
            return false;
        };
        let Memory { blocks, output } = memory;
        let hashed = self
            .argon2
            .hash_password_into_with_memory(password, salt.as_ref(), output, blocks);
        hashed.is_ok() && output.ct_eq(expected.as_bytes()).into()
    }

    /// True if this password was verified less than [`CACHE_SECONDS`] ago. Compares in constant time.
    pub(super) fn is_cached(&self, password: &[u8], now: Timestamp) -> bool {
        let cached = lock(&self.cached);
        let Some(CachedPassword { tag, until }) = &*cached else {
            return false;
        };
        let Some(given) = self.tag(password) else {
            return false;
        };
        now < *until && given.verify(&tag.clone().finalize().into_bytes()).is_ok()
    }

    /// Caches the right password.
    pub(super) fn cache(&self, password: &[u8], now: Timestamp) {
        *lock(&self.cached) = self.tag(password).map(|tag| CachedPassword {
            tag,
            until: now.plus(CACHE_SECONDS),
        });
    }

    /// The keyed hash of a password.
    fn tag(&self, password: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.cache_key).ok()?;
        mac.update(password);
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_complete_before_a_computation_begins() {
        let phc = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$\
                   ba6PXc1nhVwYJp4hKCCqwHI57j3oBYrFRqxdhL3i0rY";
        let master = MasterPassword::new(phc).unwrap();
        let mut memory = master.take_memory();
        assert_eq!((memory.blocks.len(), memory.output.len()), (64, 32));
        assert!(!master.matches(b"wrong", &mut memory));
        let blocks = memory.blocks.as_ptr();
        master.return_memory(memory);
        assert_eq!(master.take_memory().blocks.as_ptr(), blocks, "it is reused");
    }
}
