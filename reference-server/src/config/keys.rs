//! The key file.

use tower_session_auth::{SigningKey, VerifyingKey};

/// What signs and verifies tokens.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs new tokens.
    pub signing: SigningKey,
    /// Secrets that signed tokens once, and sign them again when a renewal is repeated.
    pub retired: Vec<SigningKey>,
    /// Verify tokens, the signing key's own public key among them.
    pub accepted: Vec<VerifyingKey>,
}

impl Keys {
    /// A single key for both.
    #[must_use]
    pub fn single(signing: SigningKey) -> Self {
        Self {
            accepted: vec![signing.verifying_key().clone()],
            retired: Vec::new(),
            signing,
        }
    }
}

/// Reads a key file: PASERK keys, one a line; empty lines and lines that begin with `#` do not count.
///
/// The first is the secret that signs. Those after it are accepted too: public keys, or retired secrets, which can repeat a
/// renewal whose token they signed.
///
/// # Errors
/// What is wrong, with the line's number, never its text.
pub fn parse_key_file(text: &str) -> Result<Keys, String> {
    let mut keys: Option<Keys> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let secret = SigningKey::from_paserk(line);
        match &mut keys {
            None => {
                let signing = secret.map_err(|_| {
                    format!("line {number}: the first key must be a signing secret (k4.secret.…)")
                })?;
                keys = Some(Keys::single(signing));
            }
            Some(keys) => {
                let key = match secret {
                    Ok(secret) => {
                        let key = secret.verifying_key().clone();
                        keys.retired.push(secret);
                        key
                    }
                    Err(_) => VerifyingKey::from_paserk(line).map_err(|_| {
                        format!("line {number}: not a PASERK key (k4.public.… or k4.secret.…)")
                    })?,
                };
                keys.accepted.push(key);
            }
        }
    }
    keys.ok_or_else(|| "there is no key in it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_signs_and_all_are_accepted() {
        let [current, retired, other] = [(); 3].map(|()| SigningKey::generate().unwrap());
        let text = format!(
            "# keys\n\n{}\r\n {} \n{}\n",
            current.to_paserk(),
            retired.to_paserk(),
            other.verifying_key().to_paserk()
        );
        let keys = parse_key_file(&text).unwrap();
        assert_eq!(keys.signing.to_paserk(), current.to_paserk());
        let secrets: Vec<_> = keys.retired.iter().map(SigningKey::to_paserk).collect();
        assert_eq!(secrets, [retired.to_paserk()]);
        let ids: Vec<_> = keys.accepted.iter().map(VerifyingKey::id).collect();
        let expected = [&current, &retired, &other].map(|key| key.verifying_key().id());
        assert_eq!(ids, expected);
    }

    #[test]
    fn errors_name_the_line_and_never_its_text() {
        let key = SigningKey::generate().unwrap();
        let (secret, public) = (key.to_paserk(), key.verifying_key().to_paserk());
        for (text, expected) in [
            (String::new(), "there is no key"),
            ("# only this\n".to_owned(), "there is no key"),
            (public, "line 1: the first key"),
            (
                format!("{secret}\n\nk4.secret.hunter2"),
                "line 3: not a PASERK key",
            ),
            (secret[..secret.len() - 1].to_owned(), "line 1: the first key"),
        ] {
            let error = parse_key_file(&text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(
                !error.contains("hunter2") && !error.contains(&secret[20..40]),
                "{error}"
            );
        }
    }
}
