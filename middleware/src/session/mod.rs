//! Sessions: the record, the policies, and the pure decisions about them.
//!
//! No function in this module waits, reads a clock or calls a store. Every rule is a function of (record, token, now).

mod constraints;
mod creation_key;
pub mod decide;
mod idempotency;
mod policy;
mod record;
mod replaced_tokens;
mod scopes;

pub use constraints::{Constraints, InvalidConstraints, MAX_CONSTRAINTS_LEN};
pub use creation_key::{CreationId, CreationKey, RequestHash};
pub use idempotency::{IDEMPOTENCY_KEY, IdempotencyKey, InvalidIdempotencyKey, RetryHash};
pub use policy::{CreateSession, InvalidPolicy, OnSessionLimit, SessionLimits, SessionPolicy};
#[cfg(feature = "redis")]
pub(crate) use record::AgentEpoch;
pub use record::{LastRenewal, SessionRecord, SessionStatus};
pub use replaced_tokens::{OnReuse, ReplacedTokenPolicy};
pub use scopes::{InvalidScopes, MAX_SCOPES_LEN, Scopes};
