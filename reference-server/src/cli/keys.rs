//! The commands `keys rotate` and `keys list`.

use super::{Failure, print};
use crate::{
    config::Sources,
    keys::{self, KeysCommand, RotateError, RotationTimes},
};
use tower_session_auth::clock::{Clock as _, SystemClock};

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
