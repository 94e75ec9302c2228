//! Key files: PASERK keys, one per line.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::keys::{SigningKey, VerifyingKey};
use crate::file_text;

/// The keys of a service that signs tokens.
///
/// # File format
///
/// One PASERK key per line. Blank lines and lines that begin with `#` are ignored. Lines end with LF or CRLF; a UTF-8 byte order
/// mark at the start and whitespace around a key are ignored.
///
/// | line | key | use |
/// |---|---|---|
/// | first | `k4.secret.…` | signs new tokens |
/// | others | `k4.secret.…` | a previous signing key: its tokens are accepted, and a renewal that it signed can be repeated |
/// | others | `k4.public.…` | its tokens are accepted |
///
/// ```
/// use tower_session_auth::{SigningKey, TokenVerifier, token::{KeySet, TokenSigner}};
///
/// # let (current, previous) = (SigningKey::generate()?, SigningKey::generate()?);
/// let text = format!("# current\n{}\n# previous\n{}\n", current.to_paserk(), previous.to_paserk());
/// let keys = KeySet::parse(&text)?;
/// let verifier = TokenVerifier::new(keys.verifying_keys().clone());
/// let signer = TokenSigner::new(keys.signing_key().clone());
/// # let _ = (verifier, signer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeySet {
    signing: SigningKey,
    previous: Vec<SigningKey>,
    verifying: VerifyingKeys,
}

impl KeySet {
    /// Creates a set of one key, which signs and verifies.
    #[must_use]
    pub fn single(signing: SigningKey) -> Self {
        Self {
            verifying: VerifyingKeys(vec![signing.verifying_key().clone()]),
            previous: Vec::new(),
            signing,
        }
    }

    /// Adds a key that signed earlier tokens. Its tokens are accepted, and a renewal that it signed can be repeated.
    #[must_use]
    pub fn with_previous(mut self, key: SigningKey) -> Self {
        self.verifying.0.push(key.verifying_key().clone());
        self.previous.push(key);
        self
    }

    /// Adds a public key whose tokens are accepted.
    #[must_use]
    pub fn with_accepted(mut self, key: VerifyingKey) -> Self {
        self.verifying.0.push(key);
        self
    }

    /// Parses the text of a key file.
    ///
    /// # Errors
    /// When a line is not a key, the first key is not a secret, or there is no key. The error never contains the line's text.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut lines = key_lines(text);
        let (line, first) = lines.next().ok_or(KeyFileFault::NoKey)?;
        let signing = SigningKey::from_paserk(first).map_err(|_| KeyFileFault::FirstKeyNotSecret { line })?;
        let mut keys = Self::single(signing);
        for (line, text) in lines {
            let verifying = match SigningKey::from_paserk(text) {
                Ok(previous) => {
                    let verifying = previous.verifying_key().clone();
                    keys.previous.push(previous);
                    verifying
                }
                Err(_) => VerifyingKey::from_paserk(text).map_err(|_| KeyFileFault::NotAKey { line })?,
            };
            keys.verifying.0.push(verifying);
        }
        Ok(keys)
    }

    /// Reads and parses a key file. It blocks the thread while it reads.
    ///
    /// # Errors
    /// When the file cannot be read, and in the cases of [`parse`](Self::parse). The error contains the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        read(path.as_ref(), Self::parse)
    }

    /// The key that signs new tokens.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// The previous signing keys. They sign only when a renewal is repeated whose token they signed.
    #[must_use]
    pub fn previous_keys(&self) -> &[SigningKey] {
        &self.previous
    }

    /// All keys whose tokens are accepted: the public halves of all secrets, and the public keys of the file.
    #[must_use]
    pub const fn verifying_keys(&self) -> &VerifyingKeys {
        &self.verifying
    }
}

/// The keys of a service that verifies tokens and does not sign.
///
/// The file has the format of a [`KeySet`], with public keys (`k4.public.…`) only. A secret key is an error: a service that
/// only verifies must not have one.
///
/// ```
/// use tower_session_auth::{TokenVerifier, token::VerifyingKeys};
///
/// let text = "# current\nk4.public.Hrnbu7wEfAP9cGBOAHHwmH4Wsot1ciXBHwBBXQ4gsaI\n";
/// let verifier = TokenVerifier::new(VerifyingKeys::parse(text)?);
/// # let _ = verifier;
/// # Ok::<(), tower_session_auth::token::KeyFileError>(())
/// ```
#[derive(Debug, Clone)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl FromIterator<VerifyingKey> for VerifyingKeys {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl VerifyingKeys {
    /// Parses the text of a file of public keys.
    ///
    /// # Errors
    /// When a line is not a public key, or there is no key. The error never contains the line's text.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let keys = key_lines(text).map(|(line, text)| {
            VerifyingKey::from_paserk(text).map_err(|_| match SigningKey::from_paserk(text) {
                Ok(_) => KeyFileFault::SecretKey { line },
                Err(_) => KeyFileFault::NotAPublicKey { line },
            })
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(KeyFileFault::NoKey.into());
        }
        Ok(Self(keys))
    }

    /// Reads and parses a file of public keys. It blocks the thread while it reads.
    ///
    /// # Errors
    /// When the file cannot be read, and in the cases of [`parse`](Self::parse). The error contains the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        read(path.as_ref(), Self::parse)
    }

    /// The keys in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, VerifyingKey> {
        self.0.iter()
    }
}

impl IntoIterator for VerifyingKeys {
    type Item = VerifyingKey;
    type IntoIter = std::vec::IntoIter<VerifyingKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a VerifyingKeys {
    type Item = &'a VerifyingKey;
    type IntoIter = std::slice::Iter<'a, VerifyingKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// An error in a key file. It contains the path and the number of the line, and never the line's text.
#[derive(Debug)]
pub struct KeyFileError {
    path: Option<PathBuf>,
    fault: KeyFileFault,
}

/// The reason why a key file is rejected. Lines are counted from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileFault {
    /// The file cannot be read, or is not UTF-8.
    #[error("{0}")]
    Unreadable(#[source] io::Error),
    /// There are only blank lines and comments.
    #[error("there is no key in it")]
    NoKey,
    /// The first key of a [`KeySet`] is not a secret key.
    #[error("line {line}: the first key must be a signing secret (k4.secret.…)")]
    FirstKeyNotSecret {
        /// The line's number.
        line: usize,
    },
    /// The line is neither a public nor a secret key.
    #[error("line {line}: not a PASERK key (k4.public.… or k4.secret.…)")]
    NotAKey {
        /// The line's number.
        line: usize,
    },
    /// The line of a [`VerifyingKeys`] file is not a public key.
    #[error("line {line}: not a PASERK public key (k4.public.…)")]
    NotAPublicKey {
        /// The line's number.
        line: usize,
    },
    /// The line of a [`VerifyingKeys`] file is a secret key.
    #[error(
        "line {line}: a signing secret; a service that only verifies must hold public keys (k4.public.…) only"
    )]
    SecretKey {
        /// The line's number.
        line: usize,
    },
}

impl KeyFileError {
    /// The path of the file, when it was read by `from_file`.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The reason.
    #[must_use]
    pub const fn fault(&self) -> &KeyFileFault {
        &self.fault
    }
}

impl From<KeyFileFault> for KeyFileError {
    fn from(fault: KeyFileFault) -> Self {
        Self { path: None, fault }
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        self.fault.fmt(f)
    }
}

impl std::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

/// The lines that must be keys, each with its number.
fn key_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    lines
        .map(|(number, line)| (number, file_text::trim(line)))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn read<K>(path: &Path, parse: fn(&str) -> Result<K, KeyFileError>) -> Result<K, KeyFileError> {
    let text = fs::read_to_string(path).map_err(|error| KeyFileFault::Unreadable(error).into());
    text.and_then(|text| parse(&text)).map_err(|error| KeyFileError {
        path: Some(path.to_owned()),
        ..error
    })
}

#[cfg(test)]
mod tests;
