//! Verified tokens, and the cache of them: a signature is checked once per token and process.

use std::sync::Mutex;

use super::{Claims, TokenHash};
use crate::{clock::Timestamp, error::ErrorKind, recently_used::RecentlyUsed, sync::lock};

/// A token whose signature, issuer and audience were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedToken {
    pub(super) claims: Claims,
    pub(super) not_before: Option<Timestamp>,
    pub(super) hash: TokenHash,
}

impl VerifiedToken {
    /// The claims of the token.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The hash under which the store keeps the token.
    #[must_use]
    pub const fn hash(&self) -> &TokenHash {
        &self.hash
    }

    /// Checks that the token is valid at `now`: from `nbf` on, if it has one, and before `exp`.
    ///
    /// # Errors
    /// `TokenExpired`, `InvalidToken` (before `nbf`).
    pub fn check_expiry(&self, now: Timestamp) -> Result<(), ErrorKind> {
        if self.not_before.is_some_and(|at| now < at) {
            return Err(ErrorKind::InvalidToken);
        }
        if now >= self.claims.expires_at {
            return Err(ErrorKind::TokenExpired);
        }
        Ok(())
    }
}

/// The number of shards. A lock is held for one lookup. With this number of locks, two cores rarely wait for each other.
const SHARDS: usize = 16;

/// A cache of verified tokens by their hash. Only verified tokens are inserted, so an attacker cannot fill it.
pub(super) struct VerifiedTokenCache {
    shards: [Mutex<Shard>; SHARDS],
    capacity: usize,
}

type Shard = RecentlyUsed<[u8; 32], Entry>;

/// A verified token without its hash, which is the key.
#[derive(Clone)]
struct Entry {
    claims: Claims,
    not_before: Option<Timestamp>,
}

impl VerifiedTokenCache {
    /// A cache of about `capacity` tokens, each about 150 bytes. 0 turns it off.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new(capacity.div_ceil(SHARDS)))),
            capacity,
        }
    }

    pub(super) fn get(&self, hash: &TokenHash) -> Option<VerifiedToken> {
        let shard = self.shard(hash)?;
        let mut tokens = lock(shard);
        let Entry { claims, not_before } = tokens.get(hash.as_bytes())?;
        Some(VerifiedToken {
            claims,
            not_before,
            hash: *hash,
        })
    }

    pub(super) fn insert(&self, token: &VerifiedToken) {
        let Some(shard) = self.shard(&token.hash) else {
            return;
        };
        let entry = Entry {
            claims: token.claims.clone(),
            not_before: token.not_before,
        };
        let mut tokens = lock(shard);
        tokens.put(*token.hash.as_bytes(), entry);
    }

    /// An empty cache of the same capacity, for other keys or rules.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.capacity)
    }

    /// `None` if the cache is off.
    fn shard(&self, hash: &TokenHash) -> Option<&Mutex<Shard>> {
        if self.capacity == 0 {
            return None;
        }
        self.shards.get(usize::from(hash.as_bytes()[0]) % SHARDS)
    }
}

impl std::fmt::Debug for VerifiedTokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedTokenCache")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
