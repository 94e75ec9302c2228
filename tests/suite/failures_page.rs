//! The page `docs/redis-failures.md`: each row names tests that exist.

use std::{collections::BTreeSet, fs, path::Path};

use session_auth_tests::module_tree::rust_files;

const PAGE: &str = include_str!("../../docs/redis-failures.md");
/// The tests of this module are written for the page.
const OF_THE_PAGE: &str = "redis_faults::over_http::";

/// The names of all tests of this program, as `cargo test` prints them. A test of a macro has no line of its own.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite");
    let mut names = BTreeSet::new();
    for file in rust_files(&root) {
        let relative = file.strip_prefix(&root).unwrap().with_extension("");
        let parts = relative.iter().map(|part| part.to_str().unwrap());
        let module: Vec<&str> = parts.filter(|part| *part != "mod").collect();
        let mut is_test = false;
        for line in fs::read_to_string(&file).unwrap().lines() {
            let signature = line
                .strip_prefix("async fn ")
                .or_else(|| line.strip_prefix("fn "));
            match signature.and_then(|signature| signature.split_once("()")) {
                Some((name, _)) if is_test => {
                    names.insert(format!("{}::{name}", module.join("::")));
                    is_test = false;
                }
                Some(_) => {}
                None => is_test |= line == "#[test]" || line.starts_with("#[tokio::test"),
            }
        }
    }
    names
}

/// The last cell of each row of the tables with a column `test`, with the first cell.
fn rows() -> Vec<(&'static str, &'static str)> {
    let mut rows = Vec::new();
    let mut in_table = false;
    for line in PAGE.lines() {
        let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) else {
            in_table = line.starts_with("|--") && in_table;
            continue;
        };
        let cells: Vec<&str> = row.split(" | ").collect();
        let (first, last) = (cells[0], cells[cells.len() - 1]);
        if last == "test" {
            in_table = true;
        } else if in_table {
            rows.push((first, last));
        }
    }
    rows
}

/// The code spans of a cell.
fn spans(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_row_names_tests_that_exist() {
    let (tests, rows) = (tests(), rows());
    assert!(rows.len() > 20, "{} rows", rows.len());
    for (fault, cell) in &rows {
        let mut named = spans(cell).peekable();
        assert!(named.peek().is_some(), "no test of the row {fault}");
        for name in named {
            assert!(tests.contains(name), "no test {name} of the row {fault}");
        }
    }
}

#[test]
fn every_test_of_a_fault_over_http_is_in_a_row() {
    let rows = rows();
    let named: BTreeSet<&str> = rows.iter().flat_map(|(_, cell)| spans(cell)).collect();
    let all = tests();
    let missing: Vec<_> = all
        .iter()
        .filter(|name| name.starts_with(OF_THE_PAGE) && !named.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}
