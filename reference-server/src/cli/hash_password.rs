//! The command `hash-password`: checks a password and hashes it with Argon2id.

use std::io::{self, IsTerminal, Read};

use argon2::{Argon2, PasswordHasher};
use tower_session_auth::master_auth::MAX_PASSWORD_LEN;

use super::{Failure, note, print};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn run() -> Result<(), Failure> {
    let mut stdin = io::stdin();
    if stdin.is_terminal() {
        note("Type the password, then Enter and Ctrl-D:");
    }
    let mut input = Vec::new();
    stdin
        .read_to_end(&mut input)
        .map_err(|error| Failure::Input(format!("cannot read the password: {error}")))?;
    let password = password(&input)
        .map_err(|mistake| Failure::Input(format!("the password on standard input {mistake}")))?;
    print(&hash(password)?)
}

/// The password in the bytes of standard input, without a byte order mark at the start and a line end at the end.
///
/// The error is the reason why clients could not send it in a header (RFC 9110, section 5.5).
fn password(input: &[u8]) -> Result<&str, String> {
    let password = input.strip_prefix(BYTE_ORDER_MARK).unwrap_or(input);
    let password = password.strip_suffix(b"\n").unwrap_or(password);
    let password = password.strip_suffix(b"\r").unwrap_or(password);
    if password.is_empty() {
        return Err("is empty".to_owned());
    }
    if password.len() > MAX_PASSWORD_LEN {
        return Err(format!("is longer than {MAX_PASSWORD_LEN} bytes"));
    }
    if password.contains(&b'\n') {
        return Err("has more than one line".to_owned());
    }
    let visible = |byte: &u8| matches!(byte, b' '..=b'~');
    match std::str::from_utf8(password) {
        Ok(text) if password.iter().all(visible) => {
            if text.trim() == text {
                Ok(text)
            } else {
                Err("begins or ends with a space: a header value cannot have spaces at its ends".to_owned())
            }
        }
        _ => Err(
            "has a character outside visible ASCII (letters, digits, punctuation, spaces): most clients cannot \
             send it in a header"
                .to_owned(),
        ),
    }
}

/// The Argon2id hash of a password, as a PHC string.
fn hash(password: &str) -> Result<String, Failure> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Failure::Other(format!("cannot hash the password: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_and_one_line_end_are_removed() {
        for input in [
            "secret word",
            "secret word\n",
            "secret word\r\n",
            "\u{feff}secret word\r\n",
        ] {
            assert_eq!(password(input.as_bytes()), Ok("secret word"), "{input:?}");
        }
    }

    #[test]
    fn a_password_that_clients_cannot_send_is_rejected_with_the_reason() {
        let long = "p".repeat(MAX_PASSWORD_LEN + 1);
        for (input, reason) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"\xef\xbb\xbf\n", "is empty"),
            (b"two\nlines\n", "more than one line"),
            (b"line\n\n", "more than one line"),
            (" secret".as_bytes(), "space"),
            ("secret \n".as_bytes(), "space"),
            ("gehe\u{ef}m".as_bytes(), "outside visible ASCII"),
            ("\u{feff}\u{feff}secret".as_bytes(), "outside visible ASCII"),
            ("tab\there".as_bytes(), "outside visible ASCII"),
            (b"\xff\xfe\x73\x00", "outside visible ASCII"),
            (long.as_bytes(), "longer than 1024 bytes"),
        ] {
            let error = password(input).unwrap_err();
            assert!(error.contains(reason), "{input:?}: {error}");
        }
        assert!(password(&long.as_bytes()[1..]).is_ok());
    }
}
