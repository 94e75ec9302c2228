//! The `_file` form of a secret or a URL: a file that contains the value.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::sources::Texts;

/// The largest file that is read. It is far above any value, and keeps a wrong path from filling the memory.
const MAX_LEN: u64 = 64 * 1024;

/// Replaces the path in `form` by the content of that file.
///
/// # Errors
/// A message that names the setting.
pub(super) fn read(mut form: Texts) -> Result<Texts, String> {
    let path = match &form.texts[..] {
        [path] if !path.is_empty() => PathBuf::from(path),
        _ => return Err(format!("{}: expected the path of one file", form.given)),
    };
    let content = content(&path);
    let content = content.map_err(|error| format!("{}: {}: {error}", form.given, path.display()));
    form.texts = vec![content?];
    form.given.value_file = Some(path);
    Ok(form)
}

/// Reads the value in a file, without blanks and line ends around it. Almost every tool ends a file with a newline.
fn content(path: &Path) -> Result<String, String> {
    read_text(path).map(|text| text.trim().to_owned())
}

/// Reads a small text file, without a byte order mark, which editors of Windows and PowerShell write.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(MAX_LEN + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_LEN {
        return Err(format!("has more than {MAX_LEN} bytes"));
    }
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}
