//! Benchmark: measures the cost of session checks and compares it with a server without authentication and with other crates.
//!
//! The program starts itself again: `serve` is a server process, and `load` is a process that sends requests. `run` controls
//! both.

mod child_process;
mod compare;
mod credentials;
mod figures;
mod first_request;
mod forward_auth;
mod in_process;
mod load;
mod machine;
mod many_sessions;
mod overload;
mod report;
mod revocation;
mod rounds;
mod run;
mod server;
mod session_writes;
mod signature;
mod test_sessions;
mod variant;

use std::{env, os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};

/// Benchmarks the session layers with a real Redis. Prints a table and writes it as JSON.
#[derive(Parser)]
struct Options {
    /// Runs for less than 30 seconds. Shows that everything works; the figures are not reliable.
    #[arg(long)]
    quick: bool,
    /// Number of measurements of each variant.
    #[arg(long)]
    rounds: Option<usize>,
    /// Path of the JSON file.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// A server process. Reads its configuration from standard input and exits when that closes.
    #[command(hide = true)]
    Serve,
    /// A load process. Reads its plan from standard input.
    #[command(hide = true)]
    Load,
    /// Measures this build against another one: the cost of a check, as ratios in one run.
    Compare {
        /// The same program of the other build.
        other: PathBuf,
    },
    /// Measures forward auth: the reference server against a constant response, asked directly and by proxies.
    ForwardAuth {
        /// The proxies to measure. All of them by default.
        #[arg(value_parser = PossibleValuesParser::new(forward_auth::PROXIES.map(|proxy| proxy.name)))]
        proxies: Vec<String>,
    },
    /// Measures the reference server at its capacity and at four times its capacity.
    Overload {
        /// Values of max_requests.
        #[arg(default_values_t = [64, 256])]
        capacities: Vec<usize>,
    },
}

fn main() {
    let options = Options::parse();
    match options.role {
        Some(Role::Serve) => server::main(),
        Some(Role::Load) => load::main(),
        _ if env::var_os("TEST_REDIS").is_none() => restart_with_installed_redis(),
        Some(Role::Compare { other }) => compare::main(&other, options.rounds),
        Some(Role::ForwardAuth { proxies }) => forward_auth::main(&proxies, options.rounds),
        Some(Role::Overload { capacities }) => overload::main(&capacities),
        None => run::main(options.quick, options.rounds, &options.json),
    }
}

/// Starts this program again with `TEST_REDIS` set, so that the test harness uses the installed Redis.
///
/// A container cannot be pinned to a core. Setting a variable of the running process would need `unsafe`.
fn restart_with_installed_redis() {
    let program = env::current_exe().expect("the path of this program");
    let error = Command::new(program)
        .args(env::args_os().skip(1))
        .env("TEST_REDIS", "binary")
        .exec();
    panic!("cannot restart the benchmark: {error}");
}
