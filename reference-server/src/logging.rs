//! The log of the process: its filter and its format.

use std::io::{self, IsTerminal};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// The target of the crate's own line for each rejection. The access log has a line with the same fields.
const DUPLICATE_TARGET: &str = "tower_session_auth::rejection";

/// The number of lines that wait for a reader of standard error. Further ones are dropped.
const WAITING_LINES: usize = 8192;

/// Installs the log of the process, on standard error. A reader that stops reading loses lines, and never delays a request.
///
/// The lines that wait are written when the guard is dropped.
pub(crate) fn init(config: &Config) -> WorkerGuard {
    let builder = NonBlockingBuilder::default().lossy(true);
    let (writer, guard) = builder.buffered_lines_limit(WAITING_LINES).finish(io::stderr());
    let log = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_env_filter(filter(&config.log));
    match config.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        // Fields at the top level, and only the innermost span: no line repeats a field.
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
    guard
}

/// The filter of the setting `log`. It leaves out the crate's own lines for rejections unless the setting names their target.
fn filter(log: &str) -> EnvFilter {
    if log.contains(DUPLICATE_TARGET) {
        return EnvFilter::new(log);
    }
    EnvFilter::new(format!("{log},{DUPLICATE_TARGET}=off"))
}
