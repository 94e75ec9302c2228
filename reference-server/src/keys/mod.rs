//! The commands `keys rotate`, `keys replace` and `keys list`.
//!
//! A rotation replaces the signing key in three calls that lose no request:
//!
//! | call | the file after it | waits until |
//! |---|---|---|
//! | first | The file lists a new secret after the signing one. | |
//! | second | The new secret signs. The old one is listed after it. | every server and every follower has the new key |
//! | third | The old secret is removed. | no token of the old key is valid |
//!
//! Each call writes a date into a comment before the key. The next call reads it. After a theft, `keys replace` removes all secrets at
//! once. See `docs/keys.md`.

mod document;
mod error;
mod replace_file;
mod replacement;
mod rotation;
#[cfg(test)]
mod tests;

pub(crate) use document::date;
pub use error::RotateError;
pub use replacement::Replaced;
pub use rotation::{Rotated, RotationTimes};

use std::{fs, path::Path};

use tower_session_auth::{clock::Timestamp, token::KeyFileError};

use self::{document::KeyDocument, replace_file::LockedFile, rotation::Step};

/// Takes the next step of a rotation, and replaces the file.
///
/// # Errors
/// If the step is too early and not forced, or the file cannot be read or replaced. The file is unchanged then.
pub fn rotate(
    path: &Path,
    now: Timestamp,
    times: RotationTimes,
    force: bool,
) -> Result<Rotated, RotateError> {
    let mut file = LockedFile::open(path)?;
    let mut document = KeyDocument::parse(&file.read()?)?;
    let step = Step::next(&document, now, times, force)?;
    let rotated = step.take(&mut document, now, times)?;
    file.replace(&document.to_text())?;
    Ok(rotated)
}

/// Replaces all secrets of a file by a new one, after a theft. All tokens become invalid.
///
/// # Errors
/// If the file cannot be read or replaced. The file is unchanged then.
pub fn replace(path: &Path, now: Timestamp) -> Result<Replaced, RotateError> {
    let mut file = LockedFile::open(path)?;
    let mut document = KeyDocument::parse(&file.read()?)?;
    let replaced = replacement::replace_all(&mut document, now)?;
    file.replace(&document.to_text())?;
    Ok(replaced)
}

/// Describes the keys of a file, one per line. It contains no secret.
///
/// # Errors
/// If the file cannot be read or parsed.
pub fn list(path: &Path, now: Timestamp, times: RotationTimes) -> Result<String, RotateError> {
    let text = fs::read_to_string(path).map_err(|error| RotateError::io("read", path, error))?;
    let document = KeyDocument::parse(&text)?;
    Ok(rotation::describe(&document, now, times))
}

impl From<KeyFileError> for RotateError {
    fn from(error: KeyFileError) -> Self {
        Self::KeyFile(error)
    }
}
