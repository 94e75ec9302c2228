//! The command line.

mod admin_key;
mod any_certificate;
mod check_config;
mod first_run;
mod hash_password;
mod healthcheck;
mod inspect;
mod keygen;
mod keys;
mod redis_contact;
mod serve;
mod signals;

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tower_session_auth::SessionId;

use crate::config::{self, ConfigErrors, Flags, Sources};

/// Sessions for agents and services: revocable, self-renewing, over HTTP.
///
/// Without any setting, it runs on an embedded store with a generated key and master password.
#[derive(Debug, Parser)]
#[command(name = "session-auth-server", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Run the server (the default).
    Serve,
    /// Print a new signing key for the key file. Its public key is printed to standard error.
    Keygen,
    /// Read a password from standard input and print its Argon2id hash.
    HashPassword,
    /// Make a named admin key: print its table for admin_keys_file, and its secret to standard error.
    AdminKey(admin_key::AdminKeyArgs),
    /// Print a session's record in Redis as JSON. Needs redis_url, and uses store_timeout_ms.
    Inspect {
        /// The session's id.
        id: SessionId,
    },
    /// Replace the signing key without losing a request, or after a theft. Needs key_file, and uses max_ttl and renewal_retry_window.
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Check the configuration and print all mistakes in it.
    CheckConfig(check_config::Options),
    /// Ask the server on this machine for its health, at the first address of listen. Exit code 0: it is good.
    Healthcheck(healthcheck::Options),
    /// Print a configuration file with every setting, its meaning and its default.
    ExampleConfig,
}

/// The message and the exit code of a failed command.
enum Failure {
    /// A mistake in the configuration or in other input: exit code 2.
    Input(String),
    /// Any other failure: exit code 1.
    Other(String),
}

/// Runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let sources = Sources::new(cli.flags, std::env::vars_os());
    let outcome = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&sources),
        Command::Keygen => keygen::run(),
        Command::HashPassword => hash_password::run(),
        Command::AdminKey(arguments) => admin_key::run(arguments),
        Command::Inspect { id } => inspect::run(&sources, id),
        Command::Keys { command } => keys::run(&sources, command),
        Command::CheckConfig(options) => check_config::run(&sources, &options),
        Command::Healthcheck(options) => healthcheck::run(&sources, options),
        Command::ExampleConfig => print(config::example().trim_end()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(message)) => {
            note(&message);
            ExitCode::from(2)
        }
        Err(Failure::Other(message)) => {
            note(&message);
            ExitCode::FAILURE
        }
    }
}

impl Failure {
    fn other(error: impl fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Input(errors.to_string())
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    crate::runtime().map_err(Failure::other)
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}")
        .map_err(|error| Failure::Other(format!("cannot write to standard output: {error}")))
}

/// Writes a remark to standard error. Nobody reads it if standard error is closed, and the command goes on.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
