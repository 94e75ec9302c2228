//! The file of admin keys.

use session_auth_tests::folder::Folder;
use tower_session_auth::clock::Timestamp;

use super::{errors, load};

#[test]
fn each_mistake_in_the_file_has_its_line_and_none_hides_another() {
    let folder = Folder::new("admin-keys");
    let hash = "0".repeat(64);
    let file = folder.write(
        "admin-keys.toml",
        &format!(
            "# administrators\n\
             [[admin_key]]\nname = 'ci'\nhash = '{hash}'\nright = ['hunter2']\n\n\
             [[admin_key]]\nname = 'ci'\nhash = 5\nrights = ['opne', 'list']\nexpires_at = 1\n\n\
             [[admin_key]]\n  name = 'ok'\n  hash = '{hash}'\n  rights = 'open'\nexpires = 2027-01-31\n"
        ),
    );
    let found = errors(&["--admin-keys-file", &file], &[]);
    let expected = [
        "line 2: admin key 1 (ci): rights: must name at least one right",
        "line 5: right: there is no such field; did you mean rights?",
        "line 8: admin key 2 (ci): name: is also the name of admin key 1",
        "line 9: hash: expected a text",
        "line 10: admin key 2 (ci): rights: \"opne\" must be one of open,",
        "line 11: expires_at: expected a date or a time",
        "line 15: admin key 3 (ok): hash: is also the hash of admin key 1",
        "line 16: rights: expected a list of texts",
        "line 17: expires: there is no such field",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (mistake, expected) in found.iter().zip(expected) {
        let start = format!("--admin-keys-file: {file}, {expected}");
        assert!(mistake.starts_with(&start), "{mistake}\n{start}");
    }
    assert!(!found.concat().contains("hunter2"), "{found:?}");
}

#[test]
fn key_outside_a_list_of_tables_is_a_mistake() {
    let folder = Folder::new("admin-keys-tables");
    for (content, expected) in [
        (
            "\n[admin_key]\nname = 'ci'\n",
            ", line 2: a key is a table [[admin_key]]",
        ),
        ("admin_key = ['ci']\n", ", line 1: expected [[admin_key]] tables"),
        (
            "name = 'ci'\n",
            ", line 1: name: is outside a table [[admin_key]]",
        ),
        (
            "[[admin_key]]\nname = hunter2\n[[admin_key]]\nhash = hunter2\n",
            ", line 2: ",
        ),
    ] {
        let file = folder.write("admin-keys.toml", content);
        let found = errors(&["--admin-keys-file", &file], &[]);
        assert!(
            found[0].starts_with(&format!("--admin-keys-file: {file}{expected}")),
            "{found:?}"
        );
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }
}

#[test]
fn expired_admin_key_is_a_warning_with_its_name() {
    let folder = Folder::new("admin-keys-expired");
    let table = |name: &str, digit: &str, expires: &str| {
        let hash = digit.repeat(64);
        format!("[[admin_key]]\nname = '{name}'\nhash = '{hash}'\nrights = ['list']\n{expires}\n")
    };
    let file = folder.write(
        "admin-keys.toml",
        &[
            table("ops", "0", "expires_at = 2026-11-28"),
            table("ci", "1", "expires_at = 2026-11-29"),
            table("deploy", "2", ""),
        ]
        .concat(),
    );
    let config = load(&["--admin-keys-file", &file], &[]);
    let warnings = |now| config.config.expired_admin_keys(&config.settings, now);
    // 2026-11-28T00:00:00Z
    let day = 1_795_824_000;
    assert_eq!(warnings(Timestamp(day - 1)), Vec::<String>::new());
    assert_eq!(
        warnings(Timestamp(day)),
        ["--admin-keys-file: admin key ops has expired at 2026-11-28T00:00:00Z: its requests are rejected"]
    );
    assert_eq!(warnings(Timestamp(day + 86_400)).len(), 2);
}
