//! The order of modules: a module never imports one that comes later. The order is total, so imports have no cycle.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The modules of the crate, in dependency order.
const CRATE: &[&str] = &[
    "clock",
    "sync",
    "id",
    "error",
    "file_text",
    "recently_used",
    "telemetry",
    "response",
    "auth_future",
    "layer_settings",
    "token",
    "session",
    "store",
    "security",
    "session_auth",
    "require_scope",
    "verify_only",
    "key_follower",
    "master_auth",
    "manager",
    "api",
    "protected_resource",
    "client",
    "extract",
    "endpoints",
    "authority",
    "testing",
];

/// The modules of the reference server, in dependency order.
const SERVER: &[&str] = &[
    "tls",
    "systemd",
    "runtime",
    "keys",
    "config",
    "serve",
    "metrics",
    "reload",
    "logging",
    "access_log",
    "stack",
    "metrics_endpoint",
    "start_error",
    "service",
    "cli",
];

#[test]
fn module_of_the_crate_never_imports_a_later_one() {
    assert_order("../middleware/src", CRATE);
}

#[test]
fn module_of_the_server_never_imports_a_later_one() {
    assert_order("../reference-server/src", SERVER);
}

fn assert_order(folder: &str, order: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let place = |module: &str| order.iter().position(|known| *known == module);
    let mut modules = BTreeSet::new();
    for file in sources(&root) {
        let relative = file.strip_prefix(&root).unwrap();
        let module = relative
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let module = module.trim_end_matches(".rs").to_owned();
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let Some(own) = place(&module) else {
            panic!("{module} is missing from the list");
        };
        for imported in imports(&fs::read_to_string(&file).unwrap()) {
            let Some(other) = place(&imported) else { continue };
            assert!(
                other <= own,
                "{} imports the later module {imported}",
                relative.display()
            );
        }
        modules.insert(module);
    }
    let unknown: Vec<_> = order.iter().filter(|known| !modules.contains(**known)).collect();
    assert!(unknown.is_empty(), "no such modules: {unknown:?}");
}

/// The source files of non-test code: tests may import everything.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !matches!(name.as_str(), "tests" | "test_support") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests" {
            files.push(path);
        }
    }
    files
}

/// The top-level modules after each `crate::`, without comments and unit tests.
fn imports(source: &str) -> BTreeSet<String> {
    let source = source
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let code: String = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.extend(first_word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut item = String::new();
                for character in list.chars() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => found.extend(first_word(&std::mem::take(&mut item))),
                        _ if depth == 0 => item.push(character),
                        _ => {}
                    }
                }
                found.extend(first_word(&item));
            }
        }
    }
    found
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text
        .trim_start()
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric() || *character == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}
