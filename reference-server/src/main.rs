//! The `session-auth-server` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    session_auth_server::cli::main()
}
