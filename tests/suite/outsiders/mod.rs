//! Programs of others: stock Python clients and verifiers, against the server.

mod authlib;
mod mcp;
mod pyseto;

use std::{panic::resume_unwind, path::Path};

use serde_json::Value;
use session_auth_tests::python;
use tokio::task::spawn_blocking;

/// All packages, so that one installation serves all tests.
const PACKAGES: [&str; 4] = [
    "Authlib==1.9.10",
    "mcp==2.3.0",
    "pyseto==1.10.0",
    "requests==2.34.2",
];

/// Runs a program of this folder. Returns the JSON that it prints.
async fn run<const N: usize>(program: &str, arguments: [&str; N]) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/outsiders");
    let program = folder.join(program);
    let arguments = arguments.map(str::to_owned);
    let output = spawn_blocking(move || {
        let python = python::with_packages(&PACKAGES);
        python::json(&python, &program, &arguments.each_ref().map(String::as_str))
    });
    // The first panic is readable: the traceback of the program.
    output
        .await
        .unwrap_or_else(|error| resume_unwind(error.into_panic()))
}
