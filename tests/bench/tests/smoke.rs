//! A quick run of the complete benchmark.

use std::{env, fs, process::Command};

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "needs --release: debug builds of the compared crates miss their deadlines on a busy machine"
)]
fn quick_run_measures_every_variant_and_figure() {
    let json_path = env::temp_dir().join(format!("session-auth-bench-{}.json", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_session-auth-bench"))
        .args(["--quick", "--json"])
        .arg(&json_path)
        .output()
        .expect("run the benchmark");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let json = fs::read(&json_path).expect("read the JSON file");
    let _ = fs::remove_file(&json_path);
    let report: serde_json::Value = serde_json::from_slice(&json).expect("valid JSON");
    for row in report["variants"].as_array().expect("variants") {
        assert!(row["requestsPerSecond"].as_f64() > Some(0.0), "{row}");
    }
    for figure in report["figures"].as_array().expect("figures") {
        let needs_proc = figure["unit"] == "µs" || figure["name"].as_str().unwrap_or("").contains("CPU");
        assert!(needs_proc || figure["value"].is_f64(), "{figure}");
    }
}
