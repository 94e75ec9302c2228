//! Sessions: the record, the policies, and the pure decisions about them.
//!
//! Nothing in here waits, reads a clock or talks to a store: every rule is a function of (record, token, now).

mod constraints;
pub mod decide;
mod idempotency;
mod policy;
mod record;
mod rotation;

pub use constraints::{Constraints, InvalidConstraints, MAX_CONSTRAINTS_LEN};
pub use idempotency::{IDEMPOTENCY_KEY, IdempotencyKey, InvalidIdempotencyKey, RetryHash};
pub use policy::{CreateSession, OnSessionLimit, SessionLimits, SessionPolicy};
pub use record::{SessionRecord, SessionStatus};
pub use rotation::{OnReuse, ReplacedTokenPolicy};
