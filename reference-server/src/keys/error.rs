use std::{
    io,
    path::{Path, PathBuf},
};

use tower_session_auth::{
    clock::Timestamp,
    token::{KeyError, KeyFileError},
};

use super::document::date;

/// The reason why the key file was not changed. It contains no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The step would lose requests.
    #[error("too early: {reason}. Call again in {}, from {} on. --force takes the step now, which can lose requests", duration(.from.since(*.now)), date(*.from))]
    TooEarly {
        /// The reason, with the id of the key.
        reason: String,
        /// The current time.
        now: Timestamp,
        /// When the step is safe.
        from: Timestamp,
    },
    /// The file is not a key file.
    #[error(transparent)]
    KeyFile(KeyFileError),
    /// The path is a symbolic link.
    #[error(
        "{}: is a symbolic link. This command replaces regular files only. Change the source of the link", .0.display()
    )]
    Symlink(PathBuf),
    /// Another process changes the file.
    #[error("{}: another process changes this file at the moment", .0.display())]
    Locked(PathBuf),
    /// A file operation has failed.
    #[error("cannot {action} {}: {error}", .path.display())]
    Io {
        /// The failed action, such as `read`.
        action: &'static str,
        /// The file or the folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        error: io::Error,
    },
    /// No key was generated.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl RotateError {
    pub(super) fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            error,
        }
    }
}

/// A time for people, rounded up to a minute.
fn duration(seconds: u64) -> String {
    let minutes = seconds.div_ceil(60);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{minutes} min"),
        _ => {
            let parts = [
                (minutes / 1440, "d"),
                (minutes / 60 % 24, "h"),
                (minutes % 60, "min"),
            ];
            let parts = parts.iter().filter(|(count, _)| *count > 0);
            let parts: Vec<_> = parts.map(|(count, unit)| format!("{count} {unit}")).collect();
            parts.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_time_is_shown_in_suitable_units() {
        for (seconds, text) in [
            (1, "1 s"),
            (119, "119 s"),
            (120, "2 min"),
            (121, "3 min"),
            (7_199, "120 min"),
            (7_201, "2 h 1 min"),
            (7_200, "2 h"),
            (172_800, "2 d"),
            (604_801, "7 d 1 min"),
            (605_460, "7 d 11 min"),
            (694_861, "8 d 1 h 2 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
