//! The command `keygen`.

use tower_session_auth::SigningKey;

use super::{Failure, note, print};

pub(super) fn run() -> Result<(), Failure> {
    let key = SigningKey::generate().map_err(|error| Failure::Other(error.to_string()))?;
    print(&key.to_paserk())?;
    note(&format!("public key: {}", key.verifying_key().to_paserk()));
    note(&format!("key id:     {}", key.verifying_key().id()));
    Ok(())
}
