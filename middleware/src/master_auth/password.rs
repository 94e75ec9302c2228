//! Verifying the master password without letting anybody make that expensive.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version, password_hash::phc::PasswordHash};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::{layer::InvalidPasswordHash, lockout::Lockout, queue::Queue};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::{AuthError, ErrorKind},
};

/// Seconds for which a verified password passes without Argon2.
const REMEMBER_FOR: u64 = 60;
/// Argon2 runs at once: it is as hungry for memory as for time.
const PERMITS: usize = 2;

/// What all services of a layer share.
#[derive(Clone)]
pub(super) struct MasterPassword {
    shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
}

struct Shared {
    hash: PasswordHash,
    argon2: Argon2<'static>,
    /// Argon2's memory, kept: given back, it would stay with the allocator of each thread that ever ran it.
    blocks: Mutex<Vec<Vec<Block>>>,
    permits: Arc<Semaphore>,
    queue: Queue,
    lockout: Mutex<Lockout>,
    memory_key: [u8; 32],
    remembered: Mutex<Option<Remembered>>,
}

/// A verified password, as a keyed hash.
struct Remembered {
    tag: Hmac<Sha256>,
    until: Timestamp,
}

/// What is known without Argon2.
pub(super) enum FirstLook {
    Pass,
    NeedsArgon2,
}

impl MasterPassword {
    pub(super) fn new(phc: &str) -> Result<Self, InvalidPasswordHash> {
        let hash = PasswordHash::new(phc).map_err(|_| InvalidPasswordHash)?;
        let complete = hash.salt.is_some() && hash.hash.is_some();
        if hash.algorithm != ARGON2ID_IDENT || !complete {
            return Err(InvalidPasswordHash);
        }
        let version = hash.version.map_or(Ok(Version::default()), Version::try_from);
        let version = version.map_err(|_| InvalidPasswordHash)?;
        let params = Params::try_from(&hash).map_err(|_| InvalidPasswordHash)?;
        let mut memory_key = [0; 32];
        getrandom::fill(&mut memory_key).map_err(|_| InvalidPasswordHash)?;
        Ok(Self {
            shared: Arc::new(Shared {
                hash,
                argon2: Argon2::new(Algorithm::Argon2id, version, params),
                blocks: Mutex::default(),
                permits: Arc::new(Semaphore::new(PERMITS)),
                queue: Queue::default(),
                lockout: Mutex::default(),
                memory_key,
                remembered: Mutex::new(None),
            }),
            clock: Arc::new(SystemClock),
        })
    }

    /// Rules 2 and 3.
    pub(super) fn first_look(&self, password: &[u8], client: Option<IpAddr>) -> Result<FirstLook, AuthError> {
        let now = self.clock.now();
        if let Some(client) = client {
            lock(&self.shared.lockout).check(client, now).map_err(|seconds| {
                AuthError::new(ErrorKind::MasterPasswordLocked).with_retry_after(seconds)
            })?;
        }
        if self.shared.remembers(password, now) {
            if let Some(client) = client {
                lock(&self.shared.lockout).succeeded(client);
            }
            return Ok(FirstLook::Pass);
        }
        Ok(FirstLook::NeedsArgon2)
    }

    /// Rules 4 and 5.
    pub(super) async fn verify(self, password: Vec<u8>, client: Option<IpAddr>) -> Result<(), AuthError> {
        let place = self.shared.queue.enter(client).ok_or(ErrorKind::Overloaded)?;
        let permit = self.shared.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| ErrorKind::InternalError)?;
        drop(place);
        // Others may have changed the picture during the wait.
        if let FirstLook::Pass = self.first_look(&password, client)? {
            return Ok(());
        }
        // The permit goes along: a client that disconnects must not free it while Argon2 still runs, nor escape the count.
        let verified = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            self.verify_now(&password, client)
        });
        match verified.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ErrorKind::InvalidMasterPassword.into()),
            Err(_) => Err(ErrorKind::InternalError.into()),
        }
    }

    fn verify_now(&self, password: &[u8], client: Option<IpAddr>) -> bool {
        let verified = self.shared.matches(password);
        let now = self.clock.now();
        if verified {
            self.shared.remember(password, now);
        }
        if let Some(client) = client {
            let mut lockout = lock(&self.shared.lockout);
            if verified {
                lockout.succeeded(client);
            } else {
                lockout.failed(client, now);
                tracing::warn!(%client, "wrong master password");
            }
        }
        verified
    }
}

impl Shared {
    /// Runs Argon2id in memory that is used again.
    fn matches(&self, password: &[u8]) -> bool {
        let (Some(salt), Some(expected)) = (&self.hash.salt, &self.hash.hash) else {
            return false;
        };
        let mut blocks = lock(&self.blocks).pop().unwrap_or_default();
        blocks.resize(self.argon2.params().block_count(), Block::default());
        let mut output = vec![0; expected.len()];
        let hashed =
            self.argon2
                .hash_password_into_with_memory(password, salt.as_ref(), &mut output, &mut blocks);
        lock(&self.blocks).push(blocks);
        hashed.is_ok() && output.ct_eq(expected.as_bytes()).into()
    }

    fn tag(&self, password: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.memory_key).ok()?;
        mac.update(password);
        Some(mac)
    }

    /// Compares in constant time.
    fn remembers(&self, password: &[u8], now: Timestamp) -> bool {
        let remembered = lock(&self.remembered);
        let Some(Remembered { tag, until }) = &*remembered else {
            return false;
        };
        let Some(given) = self.tag(password) else {
            return false;
        };
        now < *until && given.verify(&tag.clone().finalize().into_bytes()).is_ok()
    }

    fn remember(&self, password: &[u8], now: Timestamp) {
        *lock(&self.remembered) = self.tag(password).map(|tag| Remembered {
            tag,
            until: now.plus(REMEMBER_FOR),
        });
    }
}

/// No section under these locks can leave them half changed, so a poisoned lock is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
