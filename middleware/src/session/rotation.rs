//! What becomes of a token once it was replaced.

use serde::{Deserialize, Serialize};

/// What becomes of a token once it was replaced. Layers and managers of the same sessions need the same.
///
/// ```
/// use tower_session_auth::{session::{OnReuse, ReplacedTokenPolicy}};
///
/// let mut rotation = ReplacedTokenPolicy::default();
/// rotation.previous_token_overlap = 5;
/// rotation.on_reuse = OnReuse::Revoke;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplacedTokenPolicy {
    /// Seconds after a renewal in which it can be repeated with the same token and [`IdempotencyKey`](crate::session::IdempotencyKey): 60. At 0 never.
    pub retry_window: u64,
    /// Seconds after a renewal in which the token before still passes the layer for the API: 0.
    pub previous_token_overlap: u64,
    /// What follows when a token is presented that was replaced before both of those: [`OnReuse::Reject`].
    pub on_reuse: OnReuse,
}

impl Default for ReplacedTokenPolicy {
    fn default() -> Self {
        Self {
            retry_window: 60,
            previous_token_overlap: 0,
            on_reuse: OnReuse::Reject,
        }
    }
}

impl ReplacedTokenPolicy {
    /// For how long after a renewal the token before may still turn up without anything being wrong.
    pub(crate) fn grace(&self) -> u64 {
        self.retry_window.max(self.previous_token_overlap)
    }
}

/// What follows when a token is reused that was replaced by a renewal: somebody has a copy (RFC 9700, section 4.14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReuse {
    /// The token is refused, the session stands.
    #[default]
    Reject,
    /// The token is refused and the session revoked.
    Revoke,
}
