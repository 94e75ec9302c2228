//! The commands `keys rotate`, `keys replace` and `keys list`, as processes.

#![allow(clippy::expect_used)]

use std::{
    fs,
    process::{Command, Output},
};

use session_auth_tests::folder::Folder;
use tower_session_auth::{KeySet, SigningKey};

/// A folder with a key file.
struct Keys(Folder);

impl Keys {
    fn with_keys(name: &str, text: &str) -> Self {
        let folder = Folder::new(name);
        folder.write("keys.txt", text);
        Self(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_session-auth-server"));
        command.args(arguments).env_clear();
        command.env("SESSION_AUTH_KEY_FILE", self.0.join("keys.txt"));
        command.output().expect("an output")
    }

    fn keys(&self) -> KeySet {
        KeySet::from_file(self.0.join("keys.txt")).expect("keys")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn rotation_takes_three_calls_and_prints_no_secret() {
    let old = SigningKey::generate().expect("a key");
    let folder = Keys::with_keys("rotate", &old.to_paserk());
    let mut output = String::new();
    let added = folder.run(&["keys", "rotate"]);
    assert_eq!(added.status.code(), Some(0), "{}", text(&added.stderr));
    output += &text(&added.stdout);
    assert!(output.starts_with("added k4.pid."), "{output}");

    let early = folder.run(&["keys", "rotate"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(
        text(&early.stderr).contains("Call again in 10 min"),
        "{}",
        text(&early.stderr)
    );

    // As if the key had been added long ago.
    let path = folder.0.join("keys.txt");
    let file = fs::read_to_string(&path).expect("a file");
    let (before, after) = file.split_once("# added 20").expect("a date");
    let after = after.split_once('-').expect("a year").1;
    fs::write(&path, format!("{before}# added 2001-{after}")).expect("a file");
    let signing = folder.run(&["keys", "rotate"]);
    assert_eq!(signing.status.code(), Some(0), "{}", text(&signing.stderr));
    output += &text(&signing.stdout);
    assert_ne!(folder.keys().signing_key().to_paserk(), old.to_paserk());

    let early = folder.run(&["keys", "rotate"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(
        text(&early.stderr).contains("Call again in 7 d 11 min, from "),
        "{}",
        text(&early.stderr)
    );
    output += &text(&folder.run(&["keys", "list"]).stdout);
    assert!(output.contains("signed until"), "{output}");
    let removed = folder.run(&["keys", "rotate", "--force"]);
    assert_eq!(removed.status.code(), Some(0), "{}", text(&removed.stderr));
    output += &text(&removed.stdout);
    assert_eq!(folder.keys().verifying_keys().iter().count(), 1);
    assert!(!output.contains("secret"), "{output}");
}

#[test]
fn missing_or_invalid_key_file_is_a_mistake_in_the_configuration() {
    let folder = Keys::with_keys("rotate-invalid", "hunter2\n");
    let output = folder.run(&["keys", "rotate"]);
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(
        message.starts_with("SESSION_AUTH_KEY_FILE: ") && message.contains("line 1"),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
    let mut without = Command::new(env!("CARGO_BIN_EXE_session-auth-server"));
    let output = without
        .args(["keys", "list"])
        .env_clear()
        .output()
        .expect("an output");
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    for part in [
        "key_file is missing",
        "--key-file",
        "SESSION_AUTH_KEY_FILE",
        "--config",
        "SESSION_AUTH_CONFIG",
        "keygen",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn replacement_after_a_theft_is_one_confirmed_command_that_keeps_no_earlier_secret() {
    let key = || SigningKey::generate().expect("a key");
    let (old, partner) = (key(), key().verifying_key().to_paserk());
    let folder = Keys::with_keys("replace", &format!("{}\n{partner}\n", old.to_paserk()));
    // A thief has the file in the middle of a rotation.
    assert!(folder.run(&["keys", "rotate"]).status.success());
    let stolen = fs::read_to_string(folder.0.join("keys.txt")).expect("a file");

    let unconfirmed = folder.run(&["keys", "replace"]);
    assert_eq!(unconfirmed.status.code(), Some(2));
    assert!(text(&unconfirmed.stderr).contains("--reject-all-tokens"));
    let forced = folder.run(&["keys", "rotate", "--force"]);
    assert!(forced.status.success());
    assert!(
        text(&forced.stderr).contains("not for a stolen key"),
        "{}",
        text(&forced.stderr)
    );

    let replaced = folder.run(&["keys", "replace", "--reject-all-tokens"]);
    assert!(replaced.status.success(), "{}", text(&replaced.stderr));
    let now = fs::read_to_string(folder.0.join("keys.txt")).expect("a file");
    let secrets = |file: &str| -> Vec<String> {
        let lines = file.lines().filter(|line| line.starts_with("k4.secret."));
        lines.map(ToOwned::to_owned).collect()
    };
    let (before, after) = (secrets(&stolen), secrets(&now));
    assert_eq!((before.len(), after.len()), (2, 1));
    assert!(!before.contains(&after[0]), "a stolen secret signs");
    assert!(now.contains(&partner), "public keys of other servers stay");
    let output = text(&replaced.stdout);
    assert!(
        output.starts_with("removed k4.pid.") && !output.contains("secret."),
        "{output}"
    );
    assert!(
        output.contains("Still accepted: the public keys k4.pid."),
        "{output}"
    );
}
