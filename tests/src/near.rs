//! Cache misses, for tests that do not distinguish own from shared reads.

use tower_session_auth::store::NearRead;

/// The pending read, whether it is the caller's own or shared.
pub fn either<R>(read: NearRead<R>) -> R {
    match read {
        NearRead::Own(read) | NearRead::Shared(read) => read,
    }
}
