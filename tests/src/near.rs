//! Reads for which it does not matter who began them.

use tower_session_auth::store::CacheRead;

/// The read itself, whether it is the caller's own or shared.
pub fn either<R>(read: CacheRead<R>) -> R {
    match read {
        CacheRead::Own(read) | CacheRead::Shared(read) => read,
    }
}
