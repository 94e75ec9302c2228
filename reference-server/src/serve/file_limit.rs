//! The limit of open files, which limits connections too.

use super::{places::MAX_ENDING, state::RESERVE};

/// Connections that were evicted, from a place or from the reserve, and that are not closed yet.
const ENDING: usize = 2 * MAX_ENDING;
/// Files besides those of connections: listeners, the connections of `metrics_listen`, Redis, and the files of the runtime.
const OTHER_FILES: usize = 160;

/// Raises the soft limit of open files to what this number of connections needs, up to the hard limit. Logs a warning if that is
/// not enough: the system would then refuse connections that the server has places for.
pub fn raise_file_limit(connections: usize) {
    let needed = connections.saturating_add(RESERVE + ENDING + OTHER_FILES) as u64;
    #[cfg(unix)]
    if let Ok((soft, _)) = rlimit::getrlimit(rlimit::Resource::NOFILE)
        && soft < needed
    {
        let limit = rlimit::increase_nofile_limit(needed).unwrap_or(soft);
        if limit < needed {
            tracing::warn!(
                limit,
                needed,
                "the limit of open files is too low for max_connections"
            );
        }
    }
}
