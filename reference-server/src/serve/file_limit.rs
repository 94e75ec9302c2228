//! The limit of open files, which limits connections too.

use super::state::RESERVE;

/// Files besides those of connections: listeners, Redis, and the files of the runtime.
const OTHER_FILES: usize = 64;

/// Raises the soft limit of open files to what this number of connections needs, up to the hard limit. Logs a warning if that is
/// not enough: the system would then refuse connections that the server has places for.
pub fn raise_file_limit(connections: usize) {
    let needed = (connections + RESERVE + OTHER_FILES) as u64;
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
