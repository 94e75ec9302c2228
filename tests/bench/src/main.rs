//! What a check costs: the layers of this workspace beside a bare server and their peers, in one run.
//!
//! The program runs itself again: `serve` is a server process, `load` the process that asks it. What drives them is `run`.

mod child;
mod credentials;
mod figures;
mod fill;
mod in_process;
mod listing;
mod load;
mod machine;
mod report;
mod revocation;
mod rounds;
mod run;
mod server;
mod signature;
mod variant;
mod writing;

use std::{env, os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use clap::{Parser, Subcommand};

/// Benchmarks the session layers against a real Redis; prints a table and writes it as JSON.
#[derive(Parser)]
struct Options {
    /// Under 30 seconds: shows that everything runs, and measures badly.
    #[arg(long)]
    quick: bool,
    /// How often each variant is measured.
    #[arg(long)]
    rounds: Option<usize>,
    /// Where the table goes as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// A server process; its standard input says what it is, and ends it.
    #[command(hide = true)]
    Serve,
    /// A load process; its standard input says what it asks.
    #[command(hide = true)]
    Load,
}

fn main() {
    let options = Options::parse();
    match options.part {
        Some(Part::Serve) => server::main(),
        Some(Part::Load) => load::main(),
        None if env::var_os("TEST_REDIS").is_none() => with_installed_redis(),
        None => run::main(options.quick, options.rounds, &options.json),
    }
}

/// Starts this program again so that the harness takes the installed Redis: a container cannot be pinned to a core. Setting
/// a variable of a running process is unsafe.
fn with_installed_redis() {
    let program = env::current_exe().expect("the program's path");
    let error = Command::new(program)
        .args(env::args_os().skip(1))
        .env("TEST_REDIS", "binary")
        .exec();
    panic!("cannot start again: {error}");
}
