//! The rules for a token that a renewal has replaced.

use serde::{Deserialize, Serialize};

/// The rules for a token that a renewal has replaced. Times are in seconds.
///
/// The manager writes these rules into the session's record with each renewal. A change of the policy therefore applies to a
/// session from its next renewal on, and a layer needs no policy.
///
/// ```
/// use tower_session_auth::session::{OnReuse, ReplacedTokenPolicy};
///
/// let mut replaced = ReplacedTokenPolicy::default();
/// replaced.previous_token_overlap = 5;
/// replaced.on_reuse = OnReuse::Revoke;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplacedTokenPolicy {
    /// The time in which a renewal or a creation can be repeated with the same [`IdempotencyKey`](super::IdempotencyKey): 60. 0
    /// turns repetitions off.
    pub retry_window: u64,
    /// The time in which the previous token is still admitted to the API: 0.
    pub previous_token_overlap: u64,
    /// The reaction to a replaced token that is presented after the retry window and the overlap: [`OnReuse::Reject`].
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
    /// Seconds after a renewal in which the replaced token is no sign of a stolen copy.
    pub(crate) const fn not_suspicious_for(&self) -> u64 {
        if self.retry_window > self.previous_token_overlap {
            self.retry_window
        } else {
            self.previous_token_overlap
        }
    }
}

/// The reaction to the reuse of a replaced token: the token was probably copied (RFC 9700, section 4.14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnReuse {
    /// The token is rejected. The session stays active.
    #[default]
    Reject,
    /// The token is rejected and the session is revoked.
    Revoke,
}
