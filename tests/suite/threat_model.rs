//! The threat model in SECURITY.md names tests that exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const SECURITY: &str = include_str!("../../SECURITY.md");

/// The folders whose Rust files have tests.
const SOURCES: [&str; 4] = ["middleware/src", "reference-server", "tests", "examples"];

/// The names of the functions with the attribute `test` in a file.
fn tests_of(source: &str) -> impl Iterator<Item = &str> {
    let plain = source.split("test]\n").skip(1);
    let with_options = source.split("::test(").skip(1);
    plain.chain(with_options).filter_map(|rest| {
        // Other attributes may stand between `test` and the function.
        let (before, name) = rest.split_once("fn ")?;
        let is_near = before.lines().count() <= 8 && !before.contains('}');
        is_near.then(|| name.split('(').next()).flatten()
    })
}

/// The Rust files below a folder.
fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                rust_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn every_row_of_the_threat_model_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in SOURCES {
        rust_files(&root.join(folder), &mut files);
    }
    let sources: Vec<_> = files
        .iter()
        .map(|file| fs::read_to_string(file).expect("a text"))
        .collect();
    let tests: BTreeSet<_> = sources.iter().flat_map(|source| tests_of(source)).collect();
    let model = SECURITY.split("\n## Threat model\n").nth(1).expect("a section");
    let model = model.split("\n## ").next().expect("a section");
    let rows = model.lines().filter(|line| {
        let is_head = line.starts_with("|---") || line.starts_with("| asset ");
        line.starts_with('|') && !is_head
    });
    let mut count = 0;
    for row in rows {
        let last = row
            .trim_end_matches([' ', '|'])
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let test = last.trim().trim_matches('`');
        assert!(tests.contains(test), "no such test: {test}");
        count += 1;
    }
    assert!(count > 20, "{count} rows");
}
