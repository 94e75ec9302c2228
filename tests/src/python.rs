//! Python programs of stock clients, in a virtual environment of the tests.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The Python interpreter of a virtual environment with these packages (`name==version`), which it installs from PyPI if they are
/// missing. The environment lies in the target folder and is shared by all tests.
///
/// # Panics
/// If there is no `python3` with the module `venv`, or a package cannot be installed.
#[must_use]
pub fn with_packages(packages: &[&str]) -> PathBuf {
    try_with_packages(packages).unwrap_or_else(|why| panic!("{why}"))
}

/// Like [`with_packages`].
///
/// # Errors
/// If there is no `python3` with the module `venv`, or a package cannot be installed.
pub fn try_with_packages(packages: &[&str]) -> Result<PathBuf, String> {
    let root = target_folder().join("test-python");
    fs::create_dir_all(&root).expect("a writable target folder");
    // One process installs, the others wait.
    let lock = File::create(root.join("lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let python = root.join("venv/bin/python");
    if !python.exists() {
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(root.join("venv")))?;
    }
    let installed = root.join("installed");
    let known = fs::read_to_string(&installed).unwrap_or_default();
    let missing: Vec<_> = packages
        .iter()
        .filter(|package| !known.lines().any(|line| line == **package))
        .collect();
    if !missing.is_empty() {
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(&missing))?;
        let known = missing
            .iter()
            .fold(known, |known, package| format!("{known}{package}\n"));
        fs::write(installed, known).expect("a writable target folder");
    }
    Ok(python)
}

/// Runs a Python program to its end and returns its standard output.
///
/// # Panics
/// If it fails.
#[must_use]
pub fn output(python: &Path, program: &str, arguments: &[&str]) -> String {
    try_output(python, program, arguments).unwrap_or_else(|why| panic!("{why}"))
}

/// Like [`output`].
///
/// # Errors
/// If the program fails.
pub fn try_output(python: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = run(Command::new(python).args(["-c", program]).args(arguments))?;
    String::from_utf8(output).map_err(|error| error.to_string())
}

/// Runs the file of a Python program to its end and returns the JSON that it prints.
///
/// # Panics
/// If it fails, with its traceback, or prints something else.
#[must_use]
pub fn json(python: &Path, program: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(python)
        .arg(program)
        .args(arguments)
        // The proxy of the machine cannot reach a test's server.
        .env("NO_PROXY", "*")
        .env("no_proxy", "*")
        .output()
        .expect("a Python interpreter");
    let name = program.display();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}:\n{errors}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{name}: {error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// Runs a command to its end and returns its standard output.
fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|error| format!("python3: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// The folder that holds the build profile of this test program.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the test program");
    let folder = program.ancestors().nth(3).expect("a target folder");
    folder.to_owned()
}
