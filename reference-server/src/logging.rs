//! The log of the process: its filter and its format.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// The target of the crate's own line for each rejection. The access log has a line with the same fields.
const DUPLICATE_TARGET: &str = "tower_session_auth::rejection";

/// Installs the log of the process, on standard error.
pub(crate) fn init(config: &Config) {
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(filter(&config.log));
    match config.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        // Fields at the top level, and only the innermost span: no line repeats a field.
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
}

/// The filter of the setting `log`. It leaves out the crate's own lines for rejections unless the setting names their target.
fn filter(log: &str) -> EnvFilter {
    if log.contains(DUPLICATE_TARGET) {
        return EnvFilter::new(log);
    }
    EnvFilter::new(format!("{log},{DUPLICATE_TARGET}=off"))
}
