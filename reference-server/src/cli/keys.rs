//! The commands `keys rotate` and `keys list`.

use clap::Subcommand;

use super::{Failure, print};
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
        /// Do not wait for the time in which the step is safe. Requests may be rejected.
        #[arg(long)]
        force: bool,
    },
    /// Print the id, the status and the dates of each key.
    List,
}

pub(super) fn run(sources: &Sources, command: KeysCommand) -> Result<(), Failure> {
    let settings = sources.load_key_settings()?.config;
    let Some(path) = &settings.key_file else {
        return Err(Failure::Input(
            "key_file is missing: make a file with session-auth-server keygen".into(),
        ));
    };
    let (now, times) = (SystemClock.now(), RotationTimes::of(&settings.policy));
    let output = match command {
        KeysCommand::Rotate { force } => {
            keys::rotate(path, now, times, force).map(|rotated| rotated.to_string())
        }
        KeysCommand::List => keys::list(path, now, times),
    };
    print(&output.map_err(|error| match error {
        RotateError::KeyFile(_) | RotateError::Symlink(_) => Failure::Input(format!("key_file: {error}")),
        error => Failure::other(error),
    })?)
}
