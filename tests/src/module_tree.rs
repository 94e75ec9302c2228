//! Finds source files that the compiler never saw, because no `mod` declares them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The files below a folder of this package that are not compiled into the running test program.
///
/// The compiler lists its sources in a dependency file, which Cargo places beside the program.
///
/// # Panics
/// When the dependency file or the folder cannot be read.
pub fn missing_files(folder: &str) -> Vec<String> {
    let list = env::current_exe()
        .expect("the path of this program")
        .with_extension("d");
    let list = fs::read_to_string(&list).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
    let compiled: Vec<&Path> = list.split_whitespace().map(Path::new).collect();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing: Vec<String> = rust_files(&package.join(folder))
        .iter()
        .filter_map(|file| file.strip_prefix(package).ok())
        .filter(|file| !compiled.iter().any(|path| path.ends_with(file)))
        .map(|file| file.display().to_string())
        .collect();
    missing.sort();
    missing
}

/// The Rust files in a folder and below.
///
/// # Panics
/// When a folder cannot be read.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
