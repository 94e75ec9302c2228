//! Sessions: the record, the policy, and the pure decisions about them.
//!
//! Nothing in here waits, reads a clock or talks to a store: every rule is a function of (record, token, now).

mod constraints;
mod decide;

mod policy;
mod record;

pub use constraints::{Constraints, InvalidConstraints, MAX_CONSTRAINTS_LEN};
pub use decide::{Renewal, RenewalRefusal, admit, renew, renewable_from, standing};

pub use policy::{CreateSession, SessionPolicy, Terms};
pub use record::{SessionRecord, SessionStatus};
