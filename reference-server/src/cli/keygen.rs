//! The command `keygen`.

use tower_session_auth::SigningKey;

use super::{Failure, print};

#[expect(clippy::print_stderr, reason = "not part of the command's output")]
pub(super) fn run() -> Result<(), Failure> {
    let key = SigningKey::generate().map_err(|error| Failure::Other(error.to_string()))?;
    print(&key.to_paserk())?;
    eprintln!("public key: {}", key.verifying_key().to_paserk());
    eprintln!("key id:     {}", key.verifying_key().id());
    Ok(())
}
