//! The commands `keys rotate`, `keys replace` and `keys list`.

use clap::Subcommand;

use super::{Failure, note, print};
use crate::{
    config::Sources,
    keys::{self, RotateError, RotationTimes},
};
use tower_session_auth::clock::{Clock as _, SystemClock};

/// Replace the signing key, or list the keys.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum KeysCommand {
    /// Take the next step of a rotation: add a key, then sign with it, then remove the old key.
    Rotate {
        /// Do not wait for the time in which the step is safe. Requests may be rejected. After a theft, use keys replace.
        #[arg(long)]
        force: bool,
    },
    /// After a theft: replace all secrets of the file by a new one at once. All tokens become invalid.
    Replace {
        /// Confirm that the servers reject all tokens, and that each agent needs a new one.
        #[arg(long, required = true)]
        reject_all_tokens: bool,
    },
    /// Print the id, the status and the dates of each key.
    List,
}

pub(super) fn run(sources: &Sources, command: KeysCommand) -> Result<(), Failure> {
    let loaded = sources.load_key_settings()?;
    let settings = &loaded.config;
    let Some(path) = &settings.key_file else {
        let missing = loaded.missing("key_file");
        let hint = "session-auth-server keygen prints a first key for a new file.";
        return Err(Failure::Input(format!("{missing} {hint}")));
    };
    let (now, times) = (SystemClock.now(), RotationTimes::of(&settings.policy));
    let output = match command {
        KeysCommand::Rotate { force } => {
            keys::rotate(path, now, times, force).map(|rotated| rotated.to_string())
        }
        KeysCommand::Replace { .. } => keys::replace(path, now).map(|replaced| replaced.to_string()),
        KeysCommand::List => keys::list(path, now, times),
    };
    let output = output.map_err(|error| match error {
        RotateError::KeyFile(_) | RotateError::Symlink(_) => {
            let setting = loaded.settings.origins.get("key_file");
            let setting = setting.map_or_else(|| "key_file".to_owned(), ToString::to_string);
            Failure::Input(format!("{setting}: {error}"))
        }
        error => Failure::other(error),
    });
    print(&output?)?;
    if let KeysCommand::Rotate { force: true } = command {
        note(
            "warning: --force is not for a stolen key: other secrets of the file stay, and one of them may sign. \
             Use session-auth-server keys replace: see docs/keys.md",
        );
    }
    Ok(())
}
