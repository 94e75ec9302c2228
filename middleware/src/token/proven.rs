//! Tokens that were proven before: a signature is checked once per token and process.

use std::sync::{Mutex, PoisonError};

use super::{Claims, TokenHash, VerifiedToken};
use crate::{clock::Timestamp, recently_used::RecentlyUsed};

/// Locks are held for a lookup each; so many keep cores out of each other's way.
const SHARDS: usize = 16;

/// Proven tokens by their hash, those used lately. Only what was proven gets in, so a stranger fills nothing.
pub(super) struct VerifiedTokenCache {
    shards: [Mutex<Shard>; SHARDS],
    capacity: usize,
}

type Shard = RecentlyUsed<[u8; 32], Known>;

/// A proven token but for its hash.
#[derive(Clone, Copy)]
struct Known {
    claims: Claims,
    not_before: Option<Timestamp>,
}

impl VerifiedTokenCache {
    /// Keeps about so many tokens, of about 150 bytes each; 0 keeps none.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new(capacity.div_ceil(SHARDS)))),
            capacity,
        }
    }

    pub(super) fn get(&self, hash: &TokenHash) -> Option<VerifiedToken> {
        let shard = self.shard(hash)?;
        let mut tokens = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { claims, not_before } = tokens.get(hash.as_bytes())?;
        Some(VerifiedToken {
            claims,
            not_before,
            hash: *hash,
        })
    }

    pub(super) fn insert(&self, token: &VerifiedToken) {
        let &VerifiedToken {
            claims,
            not_before,
            hash,
        } = token;
        let Some(shard) = self.shard(&hash) else {
            return;
        };
        let mut tokens = shard.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.put(*hash.as_bytes(), Known { claims, not_before });
    }

    /// `None` when nothing is kept.
    fn shard(&self, hash: &TokenHash) -> Option<&Mutex<Shard>> {
        if self.capacity == 0 {
            return None;
        }
        self.shards.get(usize::from(hash.as_bytes()[0]) % SHARDS)
    }
}

impl Clone for VerifiedTokenCache {
    /// An empty one: a copy is made for other rules, under which nothing is proven yet.
    fn clone(&self) -> Self {
        Self::new(self.capacity)
    }
}

impl std::fmt::Debug for VerifiedTokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedTokenCache")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
