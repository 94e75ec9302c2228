//! The command `hash-password`.

use std::io::{self, IsTerminal, Read};

use argon2::{Argon2, PasswordHasher};
use tower_session_auth::master_auth::MAX_PASSWORD_LEN;

use super::{Failure, print};

#[expect(clippy::print_stderr, reason = "not part of the command's output")]
pub(super) fn run() -> Result<(), Failure> {
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
