//! The benchmark runs from beginning to end, and leaves no process behind.

use std::{env, fs, process::Command};

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "without optimisation, peers miss their deadlines on a busy machine: --release"
)]
fn a_quick_run_measures_everything() {
    let table = env::temp_dir().join(format!("session-auth-bench-{}.json", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_session-auth-bench"))
        .args(["--quick", "--json"])
        .arg(&table)
        .output()
        .expect("the benchmark");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let json = fs::read(&table).expect("a table");
    let _ = fs::remove_file(&table);
    let report: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    for row in report["variants"].as_array().expect("variants") {
        assert!(row["requestsPerSecond"].as_f64() > Some(0.0), "{row}");
    }
    for figure in report["figures"].as_array().expect("figures") {
        let needs_proc = figure["unit"] == "us" || figure["name"].as_str().unwrap_or("").contains("CPU");
        assert!(needs_proc || figure["value"].is_f64(), "{figure}");
    }
}
