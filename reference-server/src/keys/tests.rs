//! Rotations of real files, with an injected time.

use std::{fs::File, path::PathBuf};

use session_auth_tests::folder::Folder;
use tower_session_auth::{KeySet, SigningKey, session::SessionPolicy};

use super::*;

/// 2026-11-28T10:00:00Z
const START: Timestamp = Timestamp(1_795_860_000);

fn times() -> RotationTimes {
    RotationTimes::of(&SessionPolicy::default())
}

/// A key file in a folder of its own, removed on drop.
struct KeyFile(PathBuf, Folder);

impl KeyFile {
    fn new(text: &str) -> Self {
        let folder = Folder::new("keys");
        Self(folder.write("keys.txt", text).into(), folder)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap()
    }

    fn keys(&self) -> KeySet {
        KeySet::from_file(&self.0).unwrap()
    }

    fn signing(&self) -> String {
        self.keys().signing_key().verifying_key().id().to_owned()
    }

    fn accepted(&self) -> Vec<String> {
        let keys = self.keys();
        keys.verifying_keys()
            .iter()
            .map(|key| key.id().to_owned())
            .collect()
    }

    fn rotate(&self, now: Timestamp) -> Result<Rotated, RotateError> {
        rotate(&self.0, now, times(), false)
    }

    /// The names in the folder.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.1.0).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

fn id(key: &SigningKey) -> String {
    key.verifying_key().id().to_owned()
}

#[track_caller]
fn too_early_until(outcome: Result<Rotated, RotateError>, until: Timestamp) {
    match outcome {
        Err(RotateError::TooEarly { from, .. }) => assert_eq!(from, until),
        other => panic!("{other:?}"),
    }
}

#[test]
fn three_calls_add_a_key_sign_with_it_and_remove_the_old_one() {
    let (old, foreign) = (key(), key());
    let public = foreign.verifying_key().to_paserk();
    let file = KeyFile::new(&format!(
        "# Kim\n\n# from May\n{}\n# partner\n{public}\n",
        old.to_paserk()
    ));

    let added = file.rotate(START).unwrap();
    let new = file.accepted()[1].clone();
    assert_eq!(
        added,
        Rotated::Added {
            id: new.clone(),
            signs_from: START.plus(600)
        }
    );
    assert_eq!(file.signing(), id(&old));
    assert_eq!(file.accepted(), [id(&old), new.clone(), id(&foreign)]);
    assert!(
        file.text().contains("# added 2026-11-28T10:00:00Z\nk4.secret."),
        "{}",
        file.text()
    );

    let second = START.plus(600);
    too_early_until(file.rotate(START.plus(599)), second);
    let signing = file.rotate(second).unwrap();
    let removable_from = second.plus(604_800 + 60 + 600);
    let before = id(&old);
    assert_eq!(
        signing,
        Rotated::Signing {
            id: new.clone(),
            before: before.clone(),
            removable_from
        }
    );
    assert_eq!(file.accepted(), [new.clone(), before, id(&foreign)]);
    assert_eq!(file.signing(), new);

    too_early_until(file.rotate(Timestamp(removable_from.0 - 1)), removable_from);
    let removed = file.rotate(removable_from).unwrap();
    assert_eq!(removed, Rotated::Removed { ids: vec![id(&old)] });
    assert_eq!(file.accepted(), [new, id(&foreign)]);
    let text = file.text();
    assert!(
        text.starts_with("# Kim\n\n# signing since 2026-11-28T10:10:00Z\nk4.secret."),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("# from May\n# partner\n{public}\n")),
        "{text}"
    );
    assert!(
        matches!(file.rotate(removable_from).unwrap(), Rotated::Added { .. }),
        "the next rotation"
    );
    assert_eq!(file.names(), ["keys.txt"]);
}

#[test]
fn force_takes_each_step_without_waiting() {
    let file = KeyFile::new(&key().to_paserk());
    let force = || rotate(&file.0, START, times(), true).unwrap();
    assert!(matches!(force(), Rotated::Added { .. }));
    assert!(matches!(force(), Rotated::Signing { .. }));
    assert!(matches!(force(), Rotated::Removed { .. }));
    assert_eq!(file.accepted().len(), 1);
}

#[test]
fn refused_step_says_when_it_is_possible_and_changes_nothing() {
    let file = KeyFile::new(&key().to_paserk());
    file.rotate(START).unwrap();
    let before = file.text();
    let message = file.rotate(START.plus(60)).unwrap_err().to_string();
    let new = &file.accepted()[1];
    assert_eq!(
        message,
        format!(
            "too early: key {new} was added at 2026-11-28T10:00:00Z. Other servers and services may not have it yet. \
             Call again in 9 min, from 2026-11-28T10:10:00Z on. --force takes the step now, which can lose requests"
        )
    );
    assert_eq!(file.text(), before);
}

#[test]
fn longer_lifetime_at_the_time_of_the_last_signature_is_kept() {
    let long = RotationTimes {
        publication: 600,
        tokens: 1_000_000,
    };
    let short = RotationTimes {
        publication: 600,
        tokens: 1_000,
    };
    for (second, third) in [(long, short), (short, long)] {
        let file = KeyFile::new(&key().to_paserk());
        rotate(&file.0, START, second, true).unwrap();
        rotate(&file.0, START, second, true).unwrap();
        too_early_until(
            rotate(&file.0, START.plus(999_999), third, false),
            START.plus(1_000_000),
        );
        rotate(&file.0, START.plus(1_000_000), third, false).unwrap();
    }
}

#[test]
fn keys_without_a_date_are_neither_signed_with_nor_removed() {
    let (signing, undated, was_signing) = (key(), key(), key());
    let file = KeyFile::new(&format!(
        "{}\n# added by Kim\n{}\n# signing since 2020-01-01T00:00:00Z\n{}\n",
        signing.to_paserk(),
        undated.to_paserk(),
        was_signing.to_paserk()
    ));
    for _ in 0..3 {
        rotate(&file.0, START, times(), true).unwrap();
    }
    let accepted = file.accepted();
    assert_eq!(accepted[1..], [id(&undated), id(&was_signing)]);
    let list = list(&file.0, START, times()).unwrap();
    assert_eq!(list.matches("no date").count(), 2, "{list}");
}

#[test]
fn list_has_ids_statuses_and_dates_and_no_secret() {
    let file = KeyFile::new(&key().to_paserk());
    rotate(&file.0, START, times(), true).unwrap();
    rotate(&file.0, START, times(), true).unwrap();
    fs::write(&file.0, file.text() + &key().verifying_key().to_paserk()).unwrap();
    file.rotate(START).unwrap_err();
    let text = list(&file.0, START.plus(605_460), times()).unwrap();
    let accepted = file.accepted();
    let expected = [
        format!("{}  signing   since 2026-11-28T10:00:00Z", accepted[0]),
        format!(
            "{}  accepted  signed until 2026-11-28T10:00:00Z, removable from 2026-12-05T10:11:00Z (now)",
            accepted[1]
        ),
        format!("{}  accepted  public key", accepted[2]),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn invalid_file_is_refused_without_its_text() {
    for text in ["", "hunter2\n", &format!("{}\nhunter2\n", key().to_paserk())] {
        let file = KeyFile::new(text);
        let error = file.rotate(START).unwrap_err();
        assert!(matches!(error, RotateError::KeyFile(_)), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(file.text(), text);
    }
}

#[test]
fn file_that_another_process_changes_is_refused() {
    let file = KeyFile::new(&key().to_paserk());
    let other = File::open(&file.0).unwrap();
    other.lock().unwrap();
    let error = file.rotate(START).unwrap_err();
    assert!(matches!(error, RotateError::Locked(_)), "{error}");
    drop(other);
    file.rotate(START).unwrap();
}

#[test]
fn concurrent_calls_take_one_step_each_and_lose_no_key() {
    let file = KeyFile::new(&key().to_paserk());
    let path = &file.0;
    let steps = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| scope.spawn(move || rotate(path, START, times(), false).is_ok()))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().unwrap())
            .filter(|done| *done)
            .count()
    });
    assert_eq!(
        steps, 1,
        "the first adds a key, the others are locked out or too early"
    );
    assert_eq!(file.accepted().len(), 2);
    assert_eq!(file.names(), ["keys.txt"]);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn mode_of_the_file_is_kept() {
        for mode in [0o600, 0o640, 0o400] {
            let file = KeyFile::new(&key().to_paserk());
            fs::set_permissions(&file.0, fs::Permissions::from_mode(mode)).unwrap();
            file.rotate(START).unwrap();
            let kept = fs::metadata(&file.0).unwrap().permissions().mode();
            assert_eq!(kept & 0o7777, mode, "{mode:o}");
        }
    }

    #[test]
    fn leftover_of_an_interrupted_call_is_replaced() {
        let file = KeyFile::new(&key().to_paserk());
        fs::write(file.0.with_file_name(".keys.txt.new"), "half").unwrap();
        file.rotate(START).unwrap();
        assert_eq!(file.names(), ["keys.txt"]);
    }

    #[test]
    fn symbolic_link_is_refused() {
        let file = KeyFile::new(&key().to_paserk());
        let link = file.0.with_file_name("link.txt");
        symlink("keys.txt", &link).unwrap();
        let before = file.text();
        let error = rotate(&link, START, times(), false).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(file.text(), before);
        assert!(list(&link, START, times()).is_ok(), "it can be listed");
    }

    #[test]
    fn folder_that_cannot_be_written_leaves_the_file_as_it_is() {
        // Root may write into any folder, so the name of the new file is taken by a folder.
        let file = KeyFile::new(&key().to_paserk());
        let before = file.text();
        fs::create_dir(file.0.with_file_name(".keys.txt.new")).unwrap();
        let error = file.rotate(START).unwrap_err();
        assert!(error.to_string().contains("cannot write the new file"), "{error}");
        assert_eq!(file.text(), before);
    }
}
