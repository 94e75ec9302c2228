use std::process;

use super::*;

fn keys<const N: usize>() -> [SigningKey; N] {
    std::array::from_fn(|_| SigningKey::generate().unwrap())
}

fn ids(keys: &VerifyingKeys) -> Vec<&str> {
    keys.iter().map(VerifyingKey::id).collect()
}

#[test]
fn the_first_key_signs_and_all_keys_verify() {
    let [current, previous, other] = keys();
    let text = format!(
        "\u{feff}# keys\n\n{}\r\n {} \n\t# one more\r\n\r\n{}",
        current.to_paserk(),
        previous.to_paserk(),
        other.verifying_key().to_paserk()
    );
    let set = KeySet::parse(&text).unwrap();
    assert_eq!(set.signing_key().to_paserk(), current.to_paserk());
    let secrets: Vec<_> = set.previous_keys().iter().map(SigningKey::to_paserk).collect();
    assert_eq!(secrets, [previous.to_paserk()]);
    let expected = [&current, &previous, &other].map(|key| key.verifying_key().id());
    assert_eq!(ids(set.verifying_keys()), expected);
}

#[test]
fn a_byte_order_mark_before_the_first_key_is_ignored() {
    let [key] = keys();
    let text = format!("\u{feff}{}\n", key.to_paserk());
    assert!(KeySet::parse(&text).is_ok());
    let text = format!("\u{feff}{}\n", key.verifying_key().to_paserk());
    assert!(VerifyingKeys::parse(&text).is_ok());
}

#[test]
fn a_file_of_public_keys_verifies() {
    let [one, other] = keys();
    let [one, other] = [&one, &other].map(SigningKey::verifying_key);
    let text = format!(
        "# public\r\n{}\r\n\r\n  {}\r\n",
        one.to_paserk(),
        other.to_paserk()
    );
    let verifying = VerifyingKeys::parse(&text).unwrap();
    assert_eq!(ids(&verifying), [one.id(), other.id()]);
    assert_eq!(verifying.into_iter().count(), 2);
}

#[test]
fn an_error_contains_the_line_number_but_not_the_line() {
    let [key] = keys();
    let (secret, public) = (key.to_paserk(), key.verifying_key().to_paserk());
    let cut = &secret[..secret.len() - 1];
    let parse_set = |text: &str| KeySet::parse(text).unwrap_err();
    let parse_public = |text: &str| VerifyingKeys::parse(text).unwrap_err();
    for (error, expected) in [
        (parse_set(""), "there is no key"),
        (parse_set("# only this\n"), "there is no key"),
        (parse_set(&public), "line 1: the first key"),
        (parse_set(cut), "line 1: the first key"),
        (
            parse_set(&format!("{secret}\n\nk4.secret.hunter2")),
            "line 3: not a PASERK key",
        ),
        (
            parse_set(&format!("{secret}\n{public} # old")),
            "line 2: not a PASERK key",
        ),
        (parse_public("\u{feff}\r\n# none"), "there is no key"),
        (parse_public("#\n\nhunter2"), "line 3: not a PASERK public key"),
        (
            parse_public(&format!("{public}\r\n{secret}\r\n")),
            "line 2: a signing secret",
        ),
        (
            parse_public(&format!("{public}\n{cut}")),
            "line 2: not a PASERK public key",
        ),
    ] {
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(error.path(), None);
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(!shown.contains(&secret[20..40]), "{shown}");
        }
    }
}

#[test]
fn an_error_of_a_file_contains_its_path() {
    let missing = KeySet::from_file("/nowhere/keys.txt").unwrap_err();
    assert!(
        missing.to_string().starts_with("/nowhere/keys.txt: "),
        "{missing}"
    );
    assert!(
        matches!(missing.fault(), KeyFileFault::Unreadable(error) if error.kind() == io::ErrorKind::NotFound)
    );
    assert!(std::error::Error::source(&missing).is_some());

    let path = std::env::temp_dir().join(format!("tower-session-auth-keys-{}.txt", process::id()));
    let [key] = keys();
    fs::write(&path, format!("{}\n{}\n", key.to_paserk(), "hunter2")).unwrap();
    let broken = KeySet::from_file(&path).unwrap_err();
    fs::write(&path, key.verifying_key().to_paserk() + "\r\n").unwrap();
    let public = VerifyingKeys::from_file(&path);
    fs::remove_file(&path).unwrap();
    assert_eq!(broken.path(), Some(path.as_path()));
    let expected = format!("{}: line 2: not a PASERK key", path.display());
    assert!(broken.to_string().starts_with(&expected), "{broken}");
    assert_eq!(ids(&public.unwrap()), [key.verifying_key().id()]);
}
