//! Cache misses, for tests that do not distinguish own from shared reads.

use tower_session_auth::store::CacheRead;

/// The pending read, whether it is the caller's own or shared.
pub fn either<R>(read: CacheRead<R>) -> R {
    match read {
        CacheRead::Own(read) | CacheRead::Shared(read) => read,
    }
}
