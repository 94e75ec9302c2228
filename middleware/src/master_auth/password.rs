//! Verifies the master password, and limits the cost of wrong ones.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version, password_hash::phc::PasswordHash};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::{lockout::Lockout, queue::Queue};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::{AuthError, ErrorKind, RejectionReason},
    file_text,
};

/// Seconds for which a verified password is admitted without Argon2.
const CACHE_SECONDS: u64 = 60;
/// Number of Argon2 computations at once. Each one uses one core and many megabytes of memory.
const PERMITS: usize = 2;

/// The error of a text that is not a complete Argon2id PHC string. It does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Argon2id PHC string ($argon2id$v=19$…)")]
pub struct InvalidPasswordHash;

/// The verifier of a layer, shared by its clones and services.
#[derive(Clone)]
pub(super) struct MasterPassword {
    shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
}

struct Shared {
    hash: PasswordHash,
    argon2: Argon2<'static>,
    /// Argon2's memory, reused. Freed memory would stay in the allocator's arena of every thread that ran Argon2.
    blocks: Mutex<Vec<Vec<Block>>>,
    permits: Arc<Semaphore>,
    queue: Queue,
    lockout: Mutex<Lockout>,
    /// Key of the hash in `cached`, random per layer.
    cache_key: [u8; 32],
    cached: Mutex<Option<CachedPassword>>,
    warned_without_client_addr: AtomicBool,
}

/// The password that was verified last, as a keyed hash.
struct CachedPassword {
    tag: Hmac<Sha256>,
    until: Timestamp,
}

/// The result of the checks that do not need Argon2.
pub(super) enum Precheck {
    Verified,
    NeedsArgon2,
}

impl MasterPassword {
    pub(super) fn new(phc: &str) -> Result<Self, InvalidPasswordHash> {
        let hash = PasswordHash::new(file_text::trim(phc)).map_err(|_| InvalidPasswordHash)?;
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
            shared: Arc::new(Shared {
                hash,
                argon2: Argon2::new(Algorithm::Argon2id, version, params),
                blocks: Mutex::default(),
                permits: Arc::new(Semaphore::new(PERMITS)),
                queue: Queue::default(),
                lockout: Mutex::default(),
                cache_key,
                cached: Mutex::new(None),
                warned_without_client_addr: AtomicBool::new(false),
            }),
            clock: Arc::new(SystemClock),
        })
    }

    /// Logs the missing address of a client, once per layer and its clones.
    pub(super) fn warn_once_without_client_addr(&self) {
        let warned = &self.shared.warned_without_client_addr;
        // The load keeps the shared cache line clean on the hot path.
        if !warned.load(Ordering::Relaxed) && !warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a request has no ClientAddr extension: wrong master passwords lock no address; \
                 add a ClientAddrLayer outside of MasterAuthLayer"
            );
        }
    }

    /// Rules 2 and 3.
    pub(super) fn precheck(&self, password: &[u8], client: Option<IpAddr>) -> Result<Precheck, AuthError> {
        let now = self.clock.now();
        if let Some(client) = client {
            lock(&self.shared.lockout).check(client, now).map_err(|seconds| {
                AuthError::new(ErrorKind::MasterPasswordLocked).with_retry_after(seconds)
            })?;
        }
        if self.shared.is_cached(password, now) {
            if let Some(client) = client {
                lock(&self.shared.lockout).succeeded(client);
            }
            return Ok(Precheck::Verified);
        }
        Ok(Precheck::NeedsArgon2)
    }

    /// Rules 4 and 5.
    pub(super) async fn verify(self, password: Vec<u8>, client: Option<IpAddr>) -> Result<(), AuthError> {
        let place = self.shared.queue.enter(client).ok_or_else(|| {
            AuthError::new(ErrorKind::Overloaded).with_reason(RejectionReason::Argon2QueueFull)
        })?;
        let permit = self.shared.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| ErrorKind::InternalError)?;
        drop(place);
        // During the wait, another request may have locked the address or verified the password.
        if let Precheck::Verified = self.precheck(&password, client)? {
            return Ok(());
        }
        // The task owns the permit and counts the failure, so a cancelled request does not free the permit early, and its
        // failure is counted.
        let span = tracing::Span::current();
        let verified = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let _span = span.entered();
            self.run_argon2(&password, client)
        });
        match verified.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ErrorKind::InvalidMasterPassword.into()),
            Err(_) => Err(ErrorKind::InternalError.into()),
        }
    }

    fn run_argon2(&self, password: &[u8], client: Option<IpAddr>) -> bool {
        let verified = self.shared.matches(password);
        self.shared.queue.ran(verified);
        let now = self.clock.now();
        if verified {
            self.shared.cache(password, now);
        }
        if let Some(client) = client {
            let mut lockout = lock(&self.shared.lockout);
            if verified {
                lockout.succeeded(client);
            } else {
                lockout.failed(client, now);
                // The answer is logged where it is sent. This line is for a client that did not wait for it.
                tracing::debug!(%client, "wrong master password");
            }
        }
        verified
    }
}

impl Shared {
    /// Runs Argon2id in reused memory.
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

    /// The keyed hash of a password.
    fn tag(&self, password: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.cache_key).ok()?;
        mac.update(password);
        Some(mac)
    }

    /// Compares in constant time.
    fn is_cached(&self, password: &[u8], now: Timestamp) -> bool {
        let cached = lock(&self.cached);
        let Some(CachedPassword { tag, until }) = &*cached else {
            return false;
        };
        let Some(given) = self.tag(password) else {
            return false;
        };
        now < *until && given.verify(&tag.clone().finalize().into_bytes()).is_ok()
    }

    fn cache(&self, password: &[u8], now: Timestamp) {
        *lock(&self.cached) = self.tag(password).map(|tag| CachedPassword {
            tag,
            until: now.plus(CACHE_SECONDS),
        });
    }
}

/// Ignores poisoning: no critical section can panic halfway through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
