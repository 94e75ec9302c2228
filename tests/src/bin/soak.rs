//! The soak test: servers as processes that are busy, reloaded, rotated and restarted, while every response is checked.
//!
//! `cargo run -p session-auth-tests --bin soak -- --seconds 600` prints a table. The exit code is 1 if there was a failure. Without
//! `--server PATH`, the servers are processes of this program, which contains the reference server.

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use session_auth_tests::soak::{self, Options, Program};

/// If this variable is set, this program is the reference server.
const ROLE: &str = "SOAK_ROLE";
const USAGE: &str = "usage: soak [--seconds N] [--agents N] [--server PATH]";

fn main() -> ExitCode {
    if env::var_os(ROLE).is_some() {
        return session_auth_server::cli::main();
    }
    let own = env::current_exe().expect("the path of this program");
    let mut program = Program::with_role(own, ROLE);
    let mut options = Options {
        duration: Duration::from_secs(600),
        servers: 2,
        agents: 40,
        ttl: 8,
        restart_interval: Some(Duration::from_secs(10)),
        reloads: true,
        rotations: 1,
    };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next();
        let number = value.as_deref().and_then(|value| value.parse().ok());
        match (argument.as_str(), number, value) {
            ("--seconds", Some(seconds), _) => options.duration = Duration::from_secs(seconds),
            ("--agents", Some(agents), _) => {
                options.agents = usize::try_from(agents).expect("a number of agents")
            }
            ("--server", _, Some(path)) => program = Program::server(PathBuf::from(path)),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let report = runtime.block_on(soak::run(options, program));
    print!("{report}");
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
