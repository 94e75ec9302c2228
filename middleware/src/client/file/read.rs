//! Reading a session file, and the names of the files beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tower::BoxError;

use crate::client::storage::SavedSession;

/// Reads a session. While another process overwrites the file, or after a crash, its content is in the file with the suffix `.new`.
pub(super) fn read(path: &Path) -> Result<SavedSession, BoxError> {
    let content = read_file(path)?;
    parse(path, &content).or_else(|_| {
        let new = beside(path, "new");
        let recovered = read_file(&new).and_then(|content| parse(&new, &content));
        // The other process may have finished meanwhile.
        recovered.or_else(|_| parse(path, &read_file(path)?))
    })
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, BoxError> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Errors contain the file's name and the position, and nothing of its content.
pub(super) fn parse(path: &Path, content: &[u8]) -> Result<SavedSession, BoxError> {
    serde_json::from_slice(content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let path = path.display();
        format!("{path}: not a saved session (line {line}, column {column})").into()
    })
}

/// The path of a file beside the session's: `session.json.lock`, for example.
pub(super) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
