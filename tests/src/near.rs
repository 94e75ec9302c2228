//! Reads for which it does not matter who began them.

use tower_session_auth::store::NearRead;

/// The read itself, whether it is the caller's own or shared.
pub fn either<R>(read: NearRead<R>) -> R {
    match read {
        NearRead::Own(read) | NearRead::Shared(read) => read,
    }
}
