//! The command line.

use std::{
    io::{self, IsTerminal, Read, Write},
    process::ExitCode,
    sync::Arc,
};

use argon2::{Argon2, PasswordHasher};
use clap::{CommandFactory, Parser, Subcommand};
use tokio::signal;
use tower_session_auth::{
    SessionId, SigningKey, clock::SystemClock, master_auth::MAX_PASSWORD_LEN, session::OnReuse,
    session_auth::Freshness,
};

use crate::{
    config::{Config, ListenAddress, Settings, Store},
    first_run, inspect,
    serve::{self, Inherited, Listener},
    service, systemd,
};

/// Sessions for agents and services: revocable, self-renewing, over HTTP.
///
/// Without any setting, it runs on an embedded store with a generated key and master password.
#[derive(Debug, Parser)]
#[command(name = "session-auth-server", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Run the server (the default).
    Serve,
    /// Print a new signing key for the key file. Its public key is printed to standard error.
    Keygen,
    /// Read a password from standard input and print its Argon2id hash.
    HashPassword,
    /// Print a session's record in Redis as JSON. Needs redis_url, and uses store_timeout_ms.
    Inspect {
        /// The session's id.
        id: SessionId,
    },
    /// Check the configuration and print all mistakes in it.
    CheckConfig,
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
#[expect(clippy::print_stderr, reason = "the message of a failed command")]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(cli.settings),
        Command::Keygen => keygen(),
        Command::HashPassword => hash_password(),
        Command::Inspect { id } => inspect(cli.settings, id),
        Command::CheckConfig => check_config(cli.settings),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(message)) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
        Err(Failure::Other(message)) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Environment variables with the prefix of settings and an unknown name. They are no error, since Kubernetes sets such
/// variables for a service of that name.
fn unknown_variables() -> Vec<String> {
    let cli = Cli::command();
    let is_known = |name: &str| {
        let mut known = cli.get_arguments().filter_map(|argument| argument.get_env());
        known.any(|known| known == name)
    };
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names
        .filter(|name| name.starts_with("SESSION_AUTH_") && !is_known(name))
        .collect()
}

fn load(settings: Settings) -> Result<Config, Failure> {
    settings
        .with_file()
        .and_then(Config::resolve)
        .map_err(|errors| Failure::Input(errors.to_string()))
}

fn serve(settings: Settings) -> Result<(), Failure> {
    let config = load(settings)?;
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(&config.log)
        .init();
    serve::raise_file_limit(config.limits.connections);
    let inherited = serve::inherited();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Other(error.to_string()))?;
    runtime.block_on(async {
        let listeners = listeners(inherited, &config.listen).await?;
        let address = listeners.iter().find_map(Listener::tcp_address);
        if let (Some(generated), Some(address)) = (&config.generated, address) {
            first_run::announce(generated, address, &config.policy);
        }
        if let Store::Memory = config.store {
            tracing::warn!(
                "sessions are kept in memory and end with this process: set redis_url to keep them"
            );
        }
        if let (Store::Memory, Freshness::Bounded) = (&config.store, config.freshness) {
            tracing::warn!("freshness is bounded, which has no effect without a redis_url");
        }
        let replaced = config.policy.replaced_tokens;
        if replaced.on_reuse == OnReuse::Revoke
            && replaced.retry_window == 0
            && replaced.previous_token_overlap == 0
        {
            tracing::warn!(
                "on_reuse is revoke, with no renewal_retry_window and no previous_token_overlap: \
                 a request in flight during a renewal revokes its session"
            );
        }
        for name in unknown_variables() {
            tracing::warn!(
                name,
                "this environment variable looks like a setting, but is unknown"
            );
        }
        for listener in &listeners {
            tracing::info!(address = %listener, store = config.store.name(), "listening");
        }
        systemd::ready();
        tokio::spawn(systemd::watchdog());
        service::run(config, Arc::new(SystemClock), listeners, stop_signal())
            .await
            .map_err(|error| Failure::Input(error.to_string()))
    })
}

/// Listens on the sockets of the service manager, or on the configured addresses if there are none.
async fn listeners(inherited: Inherited, addresses: &[ListenAddress]) -> Result<Vec<Listener>, Failure> {
    let mut listeners = inherited
        .listen()
        .map_err(|error| Failure::Other(format!("cannot use the sockets of the service manager: {error}")))?;
    if listeners.is_empty() {
        for address in addresses {
            let bound = Listener::bind(address).await;
            let bound =
                bound.map_err(|error| Failure::Other(format!("cannot listen on {address}: {error}")))?;
            listeners.extend(bound);
        }
    }
    Ok(listeners)
}

/// Resolves at SIGINT or SIGTERM. A second signal ends the process at once.
async fn stop_signal() {
    next_signal().await;
    tracing::info!("stopping");
    systemd::stopping();
    tokio::spawn(async {
        next_signal().await;
        std::process::exit(130);
    });
}

async fn next_signal() {
    #[cfg(unix)]
    {
        let terminate = signal::unix::signal(signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = signal::ctrl_c().await;
}

#[expect(clippy::print_stderr, reason = "not part of the command's output")]
fn keygen() -> Result<(), Failure> {
    let key = SigningKey::generate().map_err(|error| Failure::Other(error.to_string()))?;
    print(&key.to_paserk())?;
    eprintln!("public key: {}", key.verifying_key().to_paserk());
    eprintln!("key id:     {}", key.verifying_key().id());
    Ok(())
}

#[expect(clippy::print_stderr, reason = "not part of the command's output")]
fn hash_password() -> Result<(), Failure> {
    let mut stdin = io::stdin();
    if stdin.is_terminal() {
        eprintln!("Type the password, then Enter and Ctrl-D:");
    }
    let mut input = String::new();
    stdin
        .read_to_string(&mut input)
        .map_err(|error| Failure::Input(format!("cannot read the password: {error}")))?;
    let password = input.strip_suffix('\n').unwrap_or(&input);
    let password = password.strip_suffix('\r').unwrap_or(password);
    // A header value cannot begin or end with blanks.
    let usable = !password.is_empty() && password.len() <= MAX_PASSWORD_LEN && password.trim() == password;
    if !usable || password.chars().any(char::is_control) {
        return Err(Failure::Input(format!(
            "the password on standard input must be one line of 1 to {MAX_PASSWORD_LEN} bytes, without blanks at its ends"
        )));
    }
    print(&hash(password)?)
}

fn hash(password: &str) -> Result<String, Failure> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Failure::Other(format!("cannot hash the password: {error}")))
}

fn inspect(settings: Settings, id: SessionId) -> Result<(), Failure> {
    let store = settings
        .with_file()
        .and_then(|settings| Store::resolve(&settings))
        .map_err(|errors| Failure::Input(errors.to_string()))?;
    let Store::Redis(store) = store else {
        return Err(Failure::Input(
            "redis_url is missing: an embedded store cannot be inspected".into(),
        ));
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Other(error.to_string()))?;
    let described = runtime.block_on(inspect::describe(&store, id));
    print(&described.map_err(Failure::Other)?)
}

#[expect(clippy::print_stderr, reason = "not part of the command's output")]
fn check_config(settings: Settings) -> Result<(), Failure> {
    let config = load(settings)?;
    for name in unknown_variables() {
        eprintln!(
            "warning: the environment variable {name} looks like a setting, but is unknown and ignored"
        );
    }
    print(&format!(
        "the configuration is good (nothing was contacted): {config}"
    ))
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}")
        .map_err(|error| Failure::Other(format!("cannot write to standard output: {error}")))
}
